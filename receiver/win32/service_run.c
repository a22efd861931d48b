/* The service: what the service control manager starts. It writes its messages to %ProgramData%\hvferry\hvrecv.log,
 * and its start, end and failure to the event log. */
#include "os/os.h"
#include "os/win32/interrupt.h"
#include "receiver/commands.h"
#include "receiver/win32/service.h"
#include "receiver/win32/service_name.h"

#include <fcntl.h>
#include <io.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <wchar.h>
#include <windows.h>

enum { STOP_HINT_MS = 10000, PATH_UNITS = 1024, EVENT_ID = 1 };

static struct {
    int argc;
    char **argv;
    SERVICE_STATUS_HANDLE handle;
    int code; /* of receive(); written before the state is STOPPED */
} service;

static void report(DWORD state, DWORD exit_code) {
    SERVICE_STATUS status = {
        .dwServiceType = SERVICE_WIN32_OWN_PROCESS,
        .dwCurrentState = state,
        .dwControlsAccepted = state == SERVICE_RUNNING ? SERVICE_ACCEPT_STOP | SERVICE_ACCEPT_SHUTDOWN : 0,
        .dwWin32ExitCode = exit_code ? ERROR_SERVICE_SPECIFIC_ERROR : NO_ERROR,
        .dwServiceSpecificExitCode = exit_code,
        .dwWaitHint = state == SERVICE_STOP_PENDING ? STOP_HINT_MS : 0,
    };
    (void)SetServiceStatus(service.handle, &status);
}

static void write_event(WORD type, const wchar_t *text) {
    HANDLE log = RegisterEventSourceW(NULL, SERVICE_KEY);
    if (log == NULL)
        return;
    (void)ReportEventW(log, type, 0, EVENT_ID, NULL, 1, 0, &text, NULL);
    (void)DeregisterEventSource(log);
}

static DWORD WINAPI on_control(DWORD control, DWORD event_type, void *event, void *context) {
    (void)event_type;
    (void)event;
    (void)context;
    switch (control) {
    case SERVICE_CONTROL_STOP:
    case SERVICE_CONTROL_SHUTDOWN:
        report(SERVICE_STOP_PENDING, 0);
        os_interrupt();
        return NO_ERROR;
    case SERVICE_CONTROL_INTERROGATE: return NO_ERROR;
    default: return ERROR_CALL_NOT_IMPLEMENTED;
    }
}

/* A service has no stderr: the log file takes its place. Without one the service works all the same. */
static void open_log(void) {
    wchar_t path[PATH_UNITS];
    DWORD n = GetEnvironmentVariableW(L"ProgramData", path, PATH_UNITS / 2);
    if (n == 0 || n >= PATH_UNITS / 2)
        return;
    (void)wcscat(path, L"\\hvferry");
    (void)CreateDirectoryW(path, NULL);
    (void)wcscat(path, L"\\hvrecv.log");
    int fd = _wopen(path, _O_WRONLY | _O_APPEND | _O_CREAT | _O_BINARY | _O_NOINHERIT, _S_IREAD | _S_IWRITE);
    FILE *file = fd < 0 ? NULL : _fdopen(fd, "ab");
    if (file == NULL)
        return;
    /* Without a console msvcrt has closed stderr for good, so that freopen() cannot open it. */
    *stderr = *file;
    (void)setvbuf(stderr, NULL, _IONBF, 0);
}

static void WINAPI service_main(DWORD argc, wchar_t **argv) {
    (void)argc;
    (void)argv;
    service.handle = RegisterServiceCtrlHandlerExW(SERVICE_KEY, on_control, NULL);
    if (service.handle == NULL)
        return;
    open_log();
    report(SERVICE_RUNNING, 0);
    write_event(EVENTLOG_INFORMATION_TYPE,
                L"hvferry started. Its messages are in %ProgramData%\\hvferry\\hvrecv.log.");
    service.code = receive(service.argc, service.argv);
    /* Being told to stop is no failure, also in the middle of a session. */
    DWORD code = service.code == EXIT_SIGNAL ? 0 : (DWORD)service.code;
    if (code)
        write_event(EVENTLOG_ERROR_TYPE,
                    L"hvferry failed. The reason is in %ProgramData%\\hvferry\\hvrecv.log.");
    else
        write_event(EVENTLOG_INFORMATION_TYPE, L"hvferry stopped.");
    report(SERVICE_STOPPED, code);
}

int service_run(int count, char **words, struct err *err) {
    SERVICE_TABLE_ENTRYW table[] = {{(wchar_t[]){SERVICE_KEY}, service_main}, {NULL, NULL}};
    char program[] = "hvrecv";
    service.argv = calloc((size_t)count + 2, sizeof *service.argv);
    if (service.argv == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory");
    service.argv[0] = program;
    for (int i = 0; i < count; i++)
        service.argv[i + 1] = words[i];
    service.argc = count + 1;
    if (!StartServiceCtrlDispatcherW(table)) {
        free(service.argv);
        return err_set(
            err, EXIT_USAGE,
            "run-service: only the service control manager runs this (hvrecv install-service, then "
            "hvrecv start)");
    }
    free(service.argv);
    return service.code;
}
