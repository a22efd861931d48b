/* replay.c: runs every file of the given folders through a fuzz target, without a fuzzer. A crash or a
 * failed check ends the program; a folder without files is an error, so that no corpus is lost unseen. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The input is exactly as large as the file, so that a sanitizer sees every read past its end. */
static int replay_file(const char *path, size_t size) {
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(size ? size : 1);
    int result = -1;
    if (f && data && fread(data, 1, size, f) == size) {
        LLVMFuzzerTestOneInput(data + (size ? 0 : 1), size);
        result = 0;
    } else {
        perror(path);
    }
    free(data);
    if (f)
        (void)fclose(f);
    return result;
}

/* Number of files that were run; -1 when one could not be. */
static int replay_folder(const char *folder) {
    DIR *dir = opendir(folder);
    if (!dir) {
        perror(folder);
        return -1;
    }
    int count = 0;
    struct dirent *d;
    while (count >= 0 && (d = readdir(dir)) != NULL) {
        char path[4096];
        struct stat st;
        (void)snprintf(path, sizeof path, "%s/%s", folder, d->d_name);
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
            continue;
        count = replay_file(path, (size_t)st.st_size) == 0 ? count + 1 : -1;
    }
    (void)closedir(dir);
    return count;
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int count = replay_folder(argv[i]);
        if (count <= 0) {
            fprintf(stderr, "%s: %s\n", argv[i], count == 0 ? "no files" : "could not be replayed");
            return 1;
        }
        printf("%s: %d files\n", argv[i], count);
    }
    return argc > 1 ? 0 : 1;
}
