/* interrupt.h: for a program that is told to stop by other means than its console. */
#ifndef OS_WIN32_INTERRUPT_H
#define OS_WIN32_INTERRUPT_H

/* As the first Ctrl-C after os_on_interrupt; before that, the process ends with EXIT_OK. Any thread. */
void os_interrupt(void);

#endif
