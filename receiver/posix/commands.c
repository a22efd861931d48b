#include "receiver/commands.h"

#include "receiver/service_guid.h"

const struct command commands[] = {{"service-guid", service_guid_run}, {.name = 0}};
