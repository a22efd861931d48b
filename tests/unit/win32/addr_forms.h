/* addr_forms.h: addresses that are taken and refused on this system only; the rows of test_addr.c. What hyperv:// means to
 * the byte is in test_hyperv.c. */
#ifndef ADDR_FORMS_H
#define ADDR_FORMS_H

#include "addr_rows.h"

#define VM "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"
#define SERVICE "e3b0c442-98fc-4c14-9afb-f4c8996fb924"

static const struct good own_goods[] = {
    {DIAL, "hyperv://parent:2761", "", 0, 0, NULL, NULL},
    {DIAL, "hyperv://" VM ":" SERVICE, "", 0, 0, NULL, NULL},
    {DIAL, "hyperv://{" VM "}:{" SERVICE "}/a/b", "", 0, 0, "a/b", "hyperv://{" VM "}:{" SERVICE "}"},
    {DIAL, "hyperv://wsl:2761", "wsl", 0, 0, NULL, NULL},
    {DIAL, "hyperv://name:a box:2761/x/", "name:a box", 0, 0, "x", "hyperv://name:a box:2761"},
    {LISTEN, "hyperv://:2761", "", 0, 0, NULL, NULL},
    {LISTEN, "hyperv://any:2761", "", 0, 0, NULL, NULL},
    {LISTEN, "hyperv://parent:" SERVICE, "", 0, 0, NULL, NULL},

    {DIAL, "exec:\"C:\\Program Files\\a.exe\" b", "\"C:\\Program Files\\a.exe\" b", 0, 0, NULL, NULL},
};

static const struct bad own_bads[] = {
    {DIAL, "hyperv:", EXIT_USAGE, "'//' is missing"},
    {DIAL, "hyperv://", EXIT_USAGE, "':SERVICE' is missing"},
    {DIAL, "hyperv://:2761", EXIT_USAGE, "the VM before ':SERVICE' is missing"},
    {DIAL, "hyperv://any:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "hyperv://children:2761", EXIT_USAGE, "not connected to"},
    {DIAL, "hyperv://nobody:2761", EXIT_USAGE, "neither a GUID nor parent"},
    {DIAL, "hyperv://parent:x", EXIT_USAGE, "neither a GUID nor a port"},
    {DIAL, "hyperv://name:" C50 C50 C50 C50 C50 "123456:1", EXIT_USAGE, "too long"},
    {DIAL, "hyperv://parent:1/../x", EXIT_USAGE, "'..'"},
    {LISTEN, "hyperv://any:2761/x", EXIT_USAGE, "no sub-directory"},

    {DIAL, "unix:/run/x", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
    {LISTEN, "unix:", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
    {DIAL, "vsock://host:2761", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
    {LISTEN, "vsock://:2761", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
    {DIAL, "vsock-mux:/run/vm:2761", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
    {LISTEN, "vsock-mux:/run/vm:2761", EXIT_UNSUPPORTED, "hyperv://VM:SERVICE"},
};

static const char *const own_broken[] = {"hyperv://"};

/* Two spellings of one place. */
static const char *const own_twins[] = {"hyperv://parent:2761",
                                        "hyperv://parent:00000ac9-facb-11e6-bd58-64006a7986d3"};

#endif
