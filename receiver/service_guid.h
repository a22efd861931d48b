/* service_guid.h: the command `hvrecv service-guid`. */
#ifndef RECEIVER_SERVICE_GUID_H
#define RECEIVER_SERVICE_GUID_H

#include "core/err.h"

/* Words are what follows "service-guid" on the command line. The exit code, or -1 and err. */
int service_guid_run(int count, char **words, struct err *err);

#endif
