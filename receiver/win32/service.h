/* service.h: hvrecv as a service of Windows.
 *
 * `hvrecv install-service OPTION… --listen ADDR DIR` registers this program with these words for its command line;
 * the service control manager starts it with the system, and again after a failure. It runs as LocalService, which
 * has few rights: DIR must allow it to write.
 */
#ifndef RECEIVER_WIN32_SERVICE_H
#define RECEIVER_WIN32_SERVICE_H

#include "core/err.h"

/* Words are what follows the command. The exit code, or -1 and err. */
int service_install(int count, char **words, struct err *err);
int service_remove(int count, char **words, struct err *err);
int service_start(int count, char **words, struct err *err);
int service_stop(int count, char **words, struct err *err);

/* What the service control manager runs: `receive` with these words, until it returns or is told to stop. */
int service_run(int count, char **words, struct err *err);

#endif
