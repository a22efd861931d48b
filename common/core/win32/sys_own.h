/* sys_own.h: reasons that errno has no value for; sys_text knows them. */
#ifndef CORE_WIN32_SYS_OWN_H
#define CORE_WIN32_SYS_OWN_H

enum {
    SYS_OTHER_NAME = 1000, /* what is there has another name: case differs, or it was a short one */
};

#endif
