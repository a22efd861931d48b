/* borders.c: MemorySanitizer does not see what zlib and zstd write, for they are not built with it. The linker puts these
 * functions in their place (--wrap): what goes in must be initialised, and what comes out is. */
#include <sanitizer/msan_interface.h>
#include <zlib.h>
#include <zstd.h>

int __real_inflate(z_stream *z, int flush);
int __wrap_inflate(z_stream *z, int flush);
int __real_deflate(z_stream *z, int flush);
int __wrap_deflate(z_stream *z, int flush);
size_t __real_ZSTD_compress2(ZSTD_CCtx *c, void *to, size_t room, const void *from, size_t n);
size_t __wrap_ZSTD_compress2(ZSTD_CCtx *c, void *to, size_t room, const void *from, size_t n);
size_t __real_ZSTD_decompressDCtx(ZSTD_DCtx *c, void *to, size_t room, const void *from, size_t n);
size_t __wrap_ZSTD_decompressDCtx(ZSTD_DCtx *c, void *to, size_t room, const void *from, size_t n);

static int zlib_step(int (*step)(z_stream *z, int flush), z_stream *z, int flush) {
    Bytef *to = z->next_out;
    __msan_check_mem_is_initialized(z->next_in, z->avail_in);
    int result = step(z, flush);
    __msan_unpoison(z, sizeof *z);
    __msan_unpoison(to, (size_t)(z->next_out - to));
    return result;
}

int __wrap_inflate(z_stream *z, int flush) {
    return zlib_step(__real_inflate, z, flush);
}
int __wrap_deflate(z_stream *z, int flush) {
    return zlib_step(__real_deflate, z, flush);
}

size_t __wrap_ZSTD_compress2(ZSTD_CCtx *c, void *to, size_t room, const void *from, size_t n) {
    __msan_check_mem_is_initialized(from, n);
    size_t got = __real_ZSTD_compress2(c, to, room, from, n);
    if (!ZSTD_isError(got))
        __msan_unpoison(to, got);
    return got;
}

size_t __wrap_ZSTD_decompressDCtx(ZSTD_DCtx *c, void *to, size_t room, const void *from, size_t n) {
    __msan_check_mem_is_initialized(from, n);
    size_t got = __real_ZSTD_decompressDCtx(c, to, room, from, n);
    if (!ZSTD_isError(got))
        __msan_unpoison(to, got);
    return got;
}
