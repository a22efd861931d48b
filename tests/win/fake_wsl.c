/* fake_wsl.c: stands for wsl.exe. Takes the one command that asks for the id of WSL's VM, and prints FAKE_WSL_ANSWER. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    static const char *const wanted[] = {"--exec", "wslinfo", "--vm-id", "-n"};
    enum { WORDS = sizeof wanted / sizeof wanted[0] };
    if (argc != WORDS + 1)
        return 2;
    for (int i = 0; i < WORDS; i++)
        if (strcmp(argv[i + 1], wanted[i]) != 0)
            return 2;
    const char *answer = getenv("FAKE_WSL_ANSWER");
    return answer && fputs(answer, stdout) >= 0 ? 0 : 1;
}
