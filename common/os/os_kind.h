/* os_kind.h: what a name of a file system may stand for. */
#ifndef OS_OS_KIND_H
#define OS_OS_KIND_H

enum os_kind { OS_NONE, OS_FILE, OS_DIR, OS_SYMLINK, OS_FIFO, OS_SOCKET, OS_CHAR_DEVICE, OS_BLOCK_DEVICE };

#endif
