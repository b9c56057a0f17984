// The stack whose every frame is known (tests/workloads/unwind/deep.c), gone through as often as asked. With
// `spin`, the innermost function computes; with `sleep`, it sleeps for 20 ms.
#define main endless
#include "../../tests/workloads/unwind/deep.c"
#undef main
#include "load.h"

static void work(long times) {
    for (long i = 0; i < times; i++)
        run(0);
}

int main(int count, char **arguments) {
    mode = count > 1 ? arguments[1] : "spin";
    pin();
    obey();
    return 0;
}
