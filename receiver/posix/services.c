#include "receiver/services.h"

static int elsewhere(struct err *err) {
    return err_set(err, EXIT_UNSUPPORTED,
                   "services are registered on the Windows host: run hvrecv.exe service-guid there");
}

int services_list(bool (*each)(const struct service *service, void *arg), void *arg, struct err *err) {
    (void)each;
    (void)arg;
    return elsewhere(err);
}

int services_add(const struct guid *guid, const char *name, bool force, struct err *err) {
    (void)guid;
    (void)name;
    (void)force;
    return elsewhere(err);
}

int services_remove(const struct guid *guid, bool force, struct err *err) {
    (void)guid;
    (void)force;
    return elsewhere(err);
}
