/* What this platform can carry a stream over. "vsock" must not hide "vsock-mux": the ':' is compared too. */
#include "transport/transport_impl.h"

const struct transport *const transports[] = {
    &vsock_transport, &hyperv_transport, &mux_transport,     &unix_transport,
    &tcp_transport,   &exec_transport,   &systemd_transport, NULL,
};
