#include "find_vm.h"

#include "core/text.h"
#include "transport/hyperv_vm.h"

#include <string.h>

/* Prints the id of the VM that WSL runs in; starts it when it does not run. With its whole path, for the same reason as
 * in exec.c. */
static const char wsl_command[] = "exec:\"%SystemRoot%\\System32\\wsl.exe\" --exec wslinfo --vm-id -n";

enum { WSL_TIMEOUT_MS = 60000, ANSWER_MAX = 128 };

/* What the command prints, up to its end, NUL-terminated. */
static int read_all(struct conn *conn, char answer[ANSWER_MAX], struct err *err) {
    size_t n = 0;
    ptrdiff_t got = 1;
    while (got > 0 && n < ANSWER_MAX - 1) {
        got = conn_read(conn, answer + n, ANSWER_MAX - 1 - n, WSL_TIMEOUT_MS, err);
        n += got > 0 ? (size_t)got : 0;
    }
    answer[n] = '\0';
    return got < 0 ? -1 : 0;
}

static int ask_wsl(char answer[ANSWER_MAX], struct err *err) {
    const struct addr_rules rules = {.listening = false};
    struct addr command;
    struct conn *conn;
    if (addr_parse(wsl_command, &rules, &command, err))
        return -1;
    int result = conn_dial(&command, WSL_TIMEOUT_MS, NULL, &conn, err);
    addr_free(&command);
    if (result)
        return -1;
    result = read_all(conn, answer, err);
    return conn_close(conn, result ? NULL : err) || result ? -1 : 0;
}

static int find_wsl(const struct addr *addr, struct guid *ret, struct err *err) {
    char answer[ANSWER_MAX];
    struct err why = {.code = 0};
    if (ask_wsl(answer, &why))
        return err_set(err, EXIT_SOCKET,
                       "%s: the id of WSL's VM cannot be learnt (install or update WSL): %s",
                       ESCAPED(addr->text), why.msg);
    if (guid_parse(answer, strcspn(answer, " \r\n"), ret))
        return err_set(err, EXIT_SOCKET, "%s: wslinfo printed no VM id but '%s' (update WSL: wsl --update)",
                       ESCAPED(addr->text), ESCAPED(answer));
    return 0;
}

int hyperv_find_vm(const struct addr *addr, struct guid *ret, struct err *err) {
    if (addr->host[0] == '\0') {
        *ret = addr->vm;
        return 0;
    }
    if (strcmp(addr->host, "wsl") == 0)
        return find_wsl(addr, ret, err);
    struct hyperv_vm vm;
    if (hyperv_vm_look(addr, &vm, err))
        return -1;
    *ret = vm.id;
    return 0;
}
