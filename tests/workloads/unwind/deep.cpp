// main → outer → Grid<int>::visit<…> (a template) → leaf, which computes and throws what main catches. Says "ready",
// then goes on for ever.

#include <cstdio>
#include <stdexcept>
#include <vector>

#define FRAME __attribute__((noinline))

static volatile unsigned long done;

FRAME void leaf(unsigned long seed) {
    for (int i = 0; i < 2000000; i++) {
        seed = seed * 2862933555777941757UL + 3037000493UL;
    }
    done = seed;
    if (done != 0) {
        throw std::runtime_error("thrown");
    }
}

template <typename T> struct Grid {
    std::vector<T> cells;

    template <typename F> FRAME void visit(F each) {
        for (T &cell : cells) {
            each(cell);
        }
        done = done + 1;
    }
};

FRAME void outer(Grid<int> &grid) {
    grid.visit([](int &cell) { leaf(static_cast<unsigned long>(cell)); });
    done = done + 1;
}

int main() {
    std::puts("ready");
    std::fflush(stdout);
    Grid<int> grid{{1, 2, 3}};
    for (;;) {
        try {
            outer(grid);
        } catch (const std::runtime_error &) {
            done = done + 1;
        }
    }
}
