#include "receiver/commands.h"

#include "receiver/service_guid.h"
#include "receiver/win32/service.h"

const struct command commands[] = {
    {"service-guid", service_guid_run},
    {"install-service", service_install},
    {"remove-service", service_remove},
    {"start", service_start},
    {"stop", service_stop},
    {"run-service", service_run},
    {.name = 0},
};
