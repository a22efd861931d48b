/* addr_forms.h: addresses that are taken and refused on this system only; the rows of test_addr.c. */
#ifndef ADDR_FORMS_H
#define ADDR_FORMS_H

#include "addr_rows.h"

#define P107 "/" C50 C50 "123456" /* the longest that sun_path holds */
#define P102 "/" C50 C50 "1" /* leaves room for "_2761" */

static const struct good own_goods[] = {
    {DIAL, "unix:/run/x.sock", "/run/x.sock", 0, 0, NULL, NULL},
    {LISTEN, "unix:/run/x.sock", "/run/x.sock", 0, 0, NULL, NULL},
    {DIAL, "unix:x", "x", 0, 0, NULL, NULL},
    {DIAL, "unix:./a/b", "./a/b", 0, 0, NULL, NULL},
    {DIAL, "unix:/a:b:1", "/a:b:1", 0, 0, NULL, NULL},
    {DIAL, "unix:/with space", "/with space", 0, 0, NULL, NULL},
    {DIAL, "unix:" P107, P107, 0, 0, NULL, NULL},
    {LISTEN, "unix:" P107, P107, 0, 0, NULL, NULL},

    {DIAL, "vsock://host:2761", "host", 2761, 2, NULL, NULL},
    {DIAL, "vsock://local:2761", "local", 2761, 1, NULL, NULL},
    {DIAL, "vsock://0:2761", "0", 2761, 0, NULL, NULL},
    {DIAL, "vsock://2:2761", "2", 2761, 2, NULL, NULL},
    {DIAL, "vsock://3:1", "3", 1, 3, NULL, NULL},
    {DIAL, "vsock://4294967294:4294967294", "4294967294", 4294967294u, 4294967294u, NULL, NULL},
    {DIAL, "vsock://3:2147483648", "3", 2147483648u, 3, NULL, NULL},
    {LISTEN, "vsock://:2761", "", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://any:2761", "any", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://4294967295:2761", "4294967295", 2761, UINT32_MAX, NULL, NULL},
    {LISTEN, "vsock://local:2761", "local", 2761, 1, NULL, NULL},
    {LISTEN, "vsock://host:2761", "host", 2761, 2, NULL, NULL},
    {DIAL, "vsock://host:2761/backup/today", "host", 2761, 2, "backup/today", "vsock://host:2761"},
    {DIAL, "vsock://3:2761/", "3", 2761, 3, NULL, "vsock://3:2761"},

    {DIAL, "vsock-mux:/run/vm.vsock:2761", "/run/vm.vsock", 2761, 0, NULL, NULL},
    {LISTEN, "vsock-mux:/run/vm.vsock:2761", "/run/vm.vsock", 2761, 0, NULL, NULL},
    {DIAL, "vsock-mux:/run/a:b:2761", "/run/a:b", 2761, 0, NULL, NULL},
    {DIAL, "vsock-mux:vm.vsock:1", "vm.vsock", 1, 0, NULL, NULL},
    {DIAL, "vsock-mux:/v:4294967294", "/v", 4294967294u, 0, NULL, NULL},
    {DIAL, "vsock-mux:" P107 ":2761", P107, 2761, 0, NULL, NULL},
    {LISTEN, "vsock-mux:" P102 ":2761", P102, 2761, 0, NULL, NULL},
};

static const struct bad own_bads[] = {
    {DIAL, "unix:", EXIT_USAGE, "missing"},
    {LISTEN, "unix:", EXIT_USAGE, "missing"},
    {DIAL, "unix://run/x", EXIT_USAGE, "'//'"},
    {DIAL, "unix:///run/x", EXIT_USAGE, "'//'"},
    {DIAL, "unix:/run/", EXIT_USAGE, "not a directory"},
    {DIAL, "unix:/", EXIT_USAGE, "not a directory"},
    {DIAL, "unix:" P107 "x", EXIT_USAGE, "108 bytes"},
    {LISTEN, "unix:" P107 "x", EXIT_USAGE, "shorter"},
    {DIAL, "unix:/" C50 C50 C50 C50 C50 C50 C50 C50 C50 C50 C50 C50, EXIT_USAGE, "601 bytes"},

    {DIAL, "vsock:", EXIT_USAGE, "'//' is missing"},
    {DIAL, "vsock:host:1", EXIT_USAGE, "'//' is missing"},
    {DIAL, "vsock://", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock://host", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock://host:", EXIT_USAGE, "the port is missing"},
    {DIAL, "vsock://host:0", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://host:4294967295", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://host:4294967296", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock://:2761", EXIT_USAGE, "before ':PORT' is missing"},
    {DIAL, "vsock://any:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "vsock://4294967295:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "vsock://4294967296:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://-1:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://HOST:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://guest:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://0x2:2761", EXIT_USAGE, "neither a number nor"},
    {DIAL, "vsock://[3]:2761", EXIT_USAGE, "brackets"},
    {DIAL, "vsock://3:4:2761", EXIT_USAGE, "brackets"},
    {DIAL, "vsock://host:2761/../x", EXIT_USAGE, "'..'"},
    {LISTEN, "vsock://:2761/x", EXIT_USAGE, "no sub-directory"},

    {DIAL, "vsock-mux:", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/vm", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/a:1/vm", EXIT_USAGE, "':PORT' is missing"},
    {DIAL, "vsock-mux:/run/vm:", EXIT_USAGE, "the port is missing"},
    {DIAL, "vsock-mux:/run/vm:0", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux:/run/vm:4294967295", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux:/run/vm:1x", EXIT_USAGE, "1 to 4294967294"},
    {DIAL, "vsock-mux::1", EXIT_USAGE, "path of the socket is missing"},
    {DIAL, "vsock-mux://run/vm:1", EXIT_USAGE, "'//'"},
    {DIAL, "vsock-mux:/run/:1", EXIT_USAGE, "not a directory"},
    {DIAL, "vsock-mux:" P107 "x:1", EXIT_USAGE, "108 bytes"},
    {LISTEN, "vsock-mux:" P107 ":2761", EXIT_USAGE, "112 bytes"},
    {LISTEN, "vsock-mux:" P102 "x:2761", EXIT_USAGE, "108 bytes"},
};

static const char *const own_broken[] = {"unix:", "vsock://", "vsock-mux:"};

/* Two spellings of one place. */
static const char *const own_twins[] = {"vsock://host:2761", "vsock://2:2761"};

#endif
