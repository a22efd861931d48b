/* service_name.h: what the service is called. */
#ifndef RECEIVER_WIN32_SERVICE_NAME_H
#define RECEIVER_WIN32_SERVICE_NAME_H

#define SERVICE_KEY L"hvferry" /* for the service control manager and the event log */
#define SERVICE_TITLE L"hvferry receiver"
#define SERVICE_TEXT L"Receives files from virtual machines, or from their host, over Hyper-V sockets."

#endif
