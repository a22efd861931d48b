/* exec:COMMAND: a child of ours, whose stdin and stdout are the stream.
 *
 * cmd.exe starts it, in a job that ends with us, so that no process of the command outlives the stream.
 */
#include "win.h"

#include "core/text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* How long the child may stay, in ms: after the stream was closed (ssh finishes its own protocol), and the same when
 * we were interrupted and nobody wants to wait. */
enum { STAY_MS = 5000, STAY_INTERRUPTED_MS = 200, STAY_TERMINATED_MS = 2000 };
enum { STATUS_TERMINATED = 1, STATUS_NOT_FOUND = 9009 /* cmd.exe: no such command */ };

struct child {
    HANDLE process, job;
};

static int exec_parse(const char *rest, const struct addr_rules *rules, struct addr *addr, struct err *why) {
    (void)rules;
    if (rest[strspn(rest, " \t\n")] == '\0')
        return err_set(why, EXIT_USAGE, "the command is missing");
    addr->command = _strdup(rest);
    return addr->command ? 0 : err_set(why, EXIT_MEMORY, "out of memory");
}

static void child_free(struct child *child) {
    if (child->process)
        (void)CloseHandle(child->process);
    if (child->job)
        (void)CloseHandle(child->job);
    free(child);
}

static int exec_close(struct conn *base, struct err *err) {
    struct child *child = pipe_conn_owner(base);
    DWORD stay_ms = pipe_conn_is_woken(base) ? STAY_INTERRUPTED_MS : STAY_MS, status = 0;
    char peer[PEER_TEXT_MAX];
    int result = 0;
    (void)snprintf(peer, sizeof peer, "%s", base->peer);
    pipe_conn_release(base);
    if (WaitForSingleObject(child->process, stay_ms) != WAIT_OBJECT_0) {
        (void)TerminateJobObject(child->job, STATUS_TERMINATED);
        (void)WaitForSingleObject(child->process, STAY_TERMINATED_MS);
        result = err_set(err, EXIT_SOCKET, "%s: the command did not end by itself and was stopped", peer);
    } else if (GetExitCodeProcess(child->process, &status) && status != 0) {
        result = err_set(err, EXIT_SOCKET, "%s: the command ended with status %lu%s", peer, status,
                         status == STATUS_NOT_FOUND ? " (command not found)" : "");
    }
    child_free(child);
    return result;
}

static const struct conn_ops exec_ops = {pipe_conn_read, pipe_conn_writev, pipe_conn_wake, pipe_conn_resume,
                                         exec_close};

/* `cmd.exe /d /s /c "COMMAND"` in UTF-16, owned by the caller; NULL when there is no memory or it is not UTF-8.
 * With /s, cmd takes off the outer quotes and nothing else. */
static wchar_t *command_line(const char *command) {
    static const wchar_t before[] = L"cmd.exe /d /s /c \"", after[] = L"\"";
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, command, -1, NULL, 0);
    if (n == 0)
        return NULL;
    size_t at = sizeof before / sizeof before[0] - 1;
    wchar_t *line = malloc(sizeof before + sizeof after + (size_t)n * sizeof *line);
    if (line == NULL)
        return NULL;
    memcpy(line, before, sizeof before);
    (void)MultiByteToWideChar(CP_UTF8, 0, command, -1, line + at, n);
    memcpy(line + at + (size_t)n - 1, after, sizeof after);
    return line;
}

/* Ends of two pipes: the child's are inheritable. */
struct pipes {
    HANDLE child_in, child_out; /* the child's stdin and stdout */
    HANDLE in, out; /* ours */
};

static void close_all(HANDLE a, HANDLE b) {
    if (a)
        (void)CloseHandle(a);
    if (b)
        (void)CloseHandle(b);
}

static int pipes_open(struct pipes *pipes) {
    SECURITY_ATTRIBUTES inherit = {.nLength = sizeof inherit, .bInheritHandle = TRUE};
    if (!CreatePipe(&pipes->child_in, &pipes->out, &inherit, 0) ||
        !CreatePipe(&pipes->in, &pipes->child_out, &inherit, 0) ||
        !SetHandleInformation(pipes->in, HANDLE_FLAG_INHERIT, 0) ||
        !SetHandleInformation(pipes->out, HANDLE_FLAG_INHERIT, 0))
        return (int)GetLastError();
    return 0;
}

/* A job whose processes end with its last handle. */
static HANDLE job_new(void) {
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits = {
        .BasicLimitInformation = {.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE}};
    HANDLE job = CreateJobObjectW(NULL, NULL);
    if (job)
        (void)SetInformationJobObject(job, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    return job;
}

/* What the child inherits, and nothing else: a handle of ours that it held would keep other streams open. */
static LPPROC_THREAD_ATTRIBUTE_LIST inherited(HANDLE *handles, size_t bytes) {
    SIZE_T n = 0;
    (void)InitializeProcThreadAttributeList(NULL, 1, 0, &n);
    LPPROC_THREAD_ATTRIBUTE_LIST list = malloc(n);
    if (list == NULL || !InitializeProcThreadAttributeList(list, 1, 0, &n)) {
        free(list);
        return NULL;
    }
    (void)UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, handles, bytes, NULL, NULL);
    return list;
}

/* The whole path of the system's cmd.exe: its bare name would also be looked for beside the program and in the current
 * directory, where a peer may have put a file of that name. 0 or an error number. */
static int find_shell(wchar_t ret[MAX_PATH]) {
    static const wchar_t name[] = L"\\cmd.exe";
    UINT n = GetSystemDirectoryW(ret, MAX_PATH);
    if (n == 0)
        return (int)GetLastError();
    if (n + sizeof name / sizeof name[0] > MAX_PATH)
        return ERROR_FILENAME_EXCED_RANGE;
    memcpy(ret + n, name, sizeof name);
    return 0;
}

/* 0 or an error number; *child is filled as far as it got. */
static int start_process(wchar_t *line, const struct pipes *pipes, struct child *child) {
    HANDLE self = GetCurrentProcess(), handles[3] = {pipes->child_in, pipes->child_out, NULL};
    size_t count = DuplicateHandle(self, GetStdHandle(STD_ERROR_HANDLE), self, &handles[2], 0, TRUE,
                                   DUPLICATE_SAME_ACCESS)
                       ? 3
                       : 2;
    PROCESS_INFORMATION made = {.hProcess = NULL};
    wchar_t shell[MAX_PATH];
    int error = find_shell(shell);
    STARTUPINFOEXW start = {.StartupInfo = {.cb = sizeof start,
                                            .dwFlags = STARTF_USESTDHANDLES,
                                            .hStdInput = handles[0],
                                            .hStdOutput = handles[1],
                                            .hStdError = handles[2]}};
    start.lpAttributeList = inherited(handles, count * sizeof handles[0]);
    child->job = job_new();
    if (error == 0 && (start.lpAttributeList == NULL || child->job == NULL))
        error = ERROR_NOT_ENOUGH_MEMORY;
    if (error == 0)
        error = CreateProcessW(shell, line, NULL, NULL, TRUE, EXTENDED_STARTUPINFO_PRESENT | CREATE_SUSPENDED,
                               NULL, NULL, &start.StartupInfo, &made)
                    ? 0
                    : (int)GetLastError();
    if (error == 0) {
        child->process = made.hProcess;
        (void)AssignProcessToJobObject(child->job, made.hProcess);
        (void)ResumeThread(made.hThread);
        (void)CloseHandle(made.hThread);
    }
    if (start.lpAttributeList)
        DeleteProcThreadAttributeList(start.lpAttributeList);
    free(start.lpAttributeList);
    if (count == 3)
        (void)CloseHandle(handles[2]);
    return error;
}

static int exec_dial(const struct addr *addr, const struct dial_bounds *bounds, struct conn **ret,
                     struct err *err) {
    (void)bounds; /* starting a process is not a wait */
    const char *text = ESCAPED(addr->text);
    struct pipes pipes = {.in = NULL};
    struct pipe_conn *conn = NULL;
    struct child *child = calloc(1, sizeof *child);
    wchar_t *line = command_line(addr->command);
    if (child == NULL || line == NULL) {
        free(child);
        free(line);
        return err_set(err, EXIT_MEMORY, "%s: out of memory, or the command is not UTF-8", text);
    }
    int error = pipes_open(&pipes);
    if (error == 0)
        error = start_process(line, &pipes, child);
    free(line);
    close_all(pipes.child_in, pipes.child_out);
    int result;
    if (error) {
        close_all(pipes.in, pipes.out);
        result = err_sys(err, EXIT_SOCKET, errno_of(error), "%s: cannot start cmd.exe", text);
    } else {
        result = pipe_conn_new(pipes.in, pipes.out, text, &exec_ops, child, &conn, err);
    }
    if (result) {
        child_free(child); /* ends it, too */
        return -1;
    }
    *ret = pipe_conn_base(conn);
    return 0;
}

const struct transport exec_transport = {
    .scheme = "exec",
    .example = "exec:ssh box hvrecv --stdio /srv",
    .alone = true,
    .parse = exec_parse,
    .dial = exec_dial,
};
