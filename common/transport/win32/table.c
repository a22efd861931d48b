/* What this platform can carry a stream over, and what it only has a message for. */
#include "transport/transport_impl.h"

const struct transport *const transports[] = {
    &hyperv_transport, &tcp_transport, &exec_transport, &unix_transport, &vsock_transport,
    &mux_transport,    NULL,
};
