/* The service control manager: installing, removing, starting and stopping. service_run.c is the service itself. */
#include "receiver/win32/service.h"

#include "core/text.h"
#include "receiver/win32/service_name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum {
    COMMAND_MAX = 32767, /* units of a command line, as of CreateProcess */
    RESTART_MS = 5000, /* after the first and second failure */
    RESTART_LATER_MS = 60000, /* after each one that follows */
    FORGET_FAILURES_SECONDS = 24 * 60 * 60,
    STOP_MS = 30000,
    LOOK_EVERY_MS = 100,
};

static int failed(DWORD error, const char *what, struct err *err) {
    switch (error) {
    case ERROR_ACCESS_DENIED:
        return err_set(err, EXIT_FILE_IO,
                       "%s: only an administrator may (start the prompt with 'Run as administrator')", what);
    case ERROR_SERVICE_EXISTS:
        return err_set(err, EXIT_USAGE, "%s: it is installed already (hvrecv remove-service takes it away)",
                       what);
    case ERROR_SERVICE_DOES_NOT_EXIST:
        return err_set(err, EXIT_USAGE, "%s: it is not installed (see hvrecv install-service)", what);
    case ERROR_SERVICE_ALREADY_RUNNING: return err_set(err, EXIT_USAGE, "%s: it runs already", what);
    case ERROR_SERVICE_NOT_ACTIVE: return err_set(err, EXIT_USAGE, "%s: it does not run", what);
    default: return err_set(err, EXIT_FILE_IO, "%s: Windows says error %lu", what, error);
    }
}

/* Nothing may follow most of the commands. */
static int need_no_words(int count, char **words, struct err *err) {
    return count ? err_set(err, EXIT_USAGE, "%s: nothing may follow this command", ESCAPED(words[0])) : 0;
}

/* Both handles, or neither: -1 and err. */
static int open_service(DWORD rights, const char *what, SC_HANDLE *ret_manager, SC_HANDLE *ret_service,
                        struct err *err) {
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    if (manager == NULL)
        return failed(GetLastError(), what, err);
    SC_HANDLE service = OpenServiceW(manager, SERVICE_KEY, rights);
    if (service == NULL) {
        DWORD error = GetLastError();
        (void)CloseServiceHandle(manager);
        return failed(error, what, err);
    }
    *ret_manager = manager;
    *ret_service = service;
    return 0;
}

static void close_service(SC_HANDLE manager, SC_HANDLE service) {
    (void)CloseServiceHandle(service);
    (void)CloseServiceHandle(manager);
}

/* Appends one argument as CommandLineToArgvW takes it apart: quoted, '\' doubled before a '"'. False: no room. */
static bool append_word(wchar_t *line, size_t *at, const wchar_t *word) {
    size_t n = *at, slashes = 0;
    if (n + 2 * wcslen(word) + 4 > COMMAND_MAX)
        return false;
    if (n)
        line[n++] = L' ';
    line[n++] = L'"';
    for (const wchar_t *p = word;; p++) {
        if (*p == L'\\') {
            slashes++;
        } else {
            for (size_t i = *p == L'"' || *p == L'\0' ? slashes + (*p == L'"') : 0; i > 0; i--)
                line[n++] = L'\\';
            slashes = 0;
        }
        if (*p == L'\0')
            break;
        line[n++] = *p;
    }
    line[n++] = L'"';
    line[n] = L'\0';
    *at = n;
    return true;
}

/* "PROGRAM" "run-service" "WORD"…, in COMMAND_MAX units. */
static bool command_line(int count, char **words, wchar_t *line) {
    wchar_t *word = malloc(COMMAND_MAX * sizeof *word);
    size_t at = 0;
    bool good = word && GetModuleFileNameW(NULL, word, COMMAND_MAX / 2) > 0 && append_word(line, &at, word) &&
                append_word(line, &at, L"run-service");
    for (int i = 0; good && i < count; i++)
        good = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, words[i], -1, word, COMMAND_MAX) &&
               append_word(line, &at, word);
    free(word);
    return good;
}

/* Restarted after a failure, and described; a Windows that refuses that runs the service all the same. */
static void describe(SC_HANDLE service) {
    SC_ACTION actions[] = {{SC_ACTION_RESTART, RESTART_MS},
                           {SC_ACTION_RESTART, RESTART_MS},
                           {SC_ACTION_RESTART, RESTART_LATER_MS}};
    SERVICE_FAILURE_ACTIONSW failure = {.dwResetPeriod = FORGET_FAILURES_SECONDS,
                                        .cActions = sizeof actions / sizeof actions[0],
                                        .lpsaActions = actions};
    SERVICE_FAILURE_ACTIONS_FLAG also = {.fFailureActionsOnNonCrashFailures = TRUE};
    SERVICE_DESCRIPTIONW text = {.lpDescription = (wchar_t[]){SERVICE_TEXT}};
    (void)ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS, &failure);
    (void)ChangeServiceConfig2W(service, SERVICE_CONFIG_FAILURE_ACTIONS_FLAG, &also);
    (void)ChangeServiceConfig2W(service, SERVICE_CONFIG_DESCRIPTION, &text);
}

int service_install(int count, char **words, struct err *err) {
    static wchar_t line[COMMAND_MAX];
    if (count == 0)
        return err_set(err, EXIT_USAGE,
                       "install-service: say what it is to do (example: hvrecv install-service --listen "
                       "hyperv://any:2761 D:\\inbox)");
    if (!command_line(count, words, line))
        return err_set(err, EXIT_USAGE, "install-service: the command line is too long, or not UTF-8");
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CREATE_SERVICE);
    if (manager == NULL)
        return failed(GetLastError(), "installing the service", err);
    SC_HANDLE service = CreateServiceW(manager, SERVICE_KEY, SERVICE_TITLE, SERVICE_ALL_ACCESS,
                                       SERVICE_WIN32_OWN_PROCESS, SERVICE_AUTO_START, SERVICE_ERROR_NORMAL,
                                       line, NULL, NULL, NULL, L"NT AUTHORITY\\LocalService", NULL);
    int result = service ? EXIT_OK : failed(GetLastError(), "installing the service", err);
    if (service) {
        describe(service);
        (void)CloseServiceHandle(service);
    }
    (void)CloseServiceHandle(manager);
    return result;
}

int service_start(int count, char **words, struct err *err) {
    SC_HANDLE manager = NULL, service = NULL;
    if (need_no_words(count, words, err) ||
        open_service(SERVICE_START, "starting the service", &manager, &service, err))
        return -1;
    int result =
        StartServiceW(service, 0, NULL) ? EXIT_OK : failed(GetLastError(), "starting the service", err);
    close_service(manager, service);
    return result;
}

/* Until it has stopped. */
static int await_stop(SC_HANDLE service, struct err *err) {
    SERVICE_STATUS status;
    for (int waited = 0; waited < STOP_MS; waited += LOOK_EVERY_MS) {
        if (!QueryServiceStatus(service, &status))
            return failed(GetLastError(), "stopping the service", err);
        if (status.dwCurrentState == SERVICE_STOPPED)
            return EXIT_OK;
        Sleep(LOOK_EVERY_MS);
    }
    return err_set(err, EXIT_TIMEOUT, "stopping the service: it still runs after %d s", STOP_MS / 1000);
}

int service_stop(int count, char **words, struct err *err) {
    SC_HANDLE manager = NULL, service = NULL;
    SERVICE_STATUS status;
    if (need_no_words(count, words, err) ||
        open_service(SERVICE_STOP | SERVICE_QUERY_STATUS, "stopping the service", &manager, &service, err))
        return -1;
    int result = ControlService(service, SERVICE_CONTROL_STOP, &status)
                     ? await_stop(service, err)
                     : failed(GetLastError(), "stopping the service", err);
    close_service(manager, service);
    return result;
}

int service_remove(int count, char **words, struct err *err) {
    SC_HANDLE manager = NULL, service = NULL;
    SERVICE_STATUS status;
    if (need_no_words(count, words, err) || open_service(DELETE | SERVICE_STOP | SERVICE_QUERY_STATUS,
                                                         "removing the service", &manager, &service, err))
        return -1;
    if (ControlService(service, SERVICE_CONTROL_STOP, &status))
        (void)await_stop(service, NULL);
    int result = DeleteService(service) ? EXIT_OK : failed(GetLastError(), "removing the service", err);
    close_service(manager, service);
    return result;
}
