// chain.c in C++: names with namespaces, templates and overloads.

#include <cstdint>
#include <cstdio>

namespace chain {

template <typename T> struct Walker {
    __attribute__((noinline)) int stop(T depth) {
        auto frame = static_cast<void **>(__builtin_frame_address(0));
        std::printf("%lx", reinterpret_cast<unsigned long>(here()));
        for (T i = 0; i < depth; i++) {
            std::printf(" %lx", reinterpret_cast<unsigned long>(frame[1]));
            frame = static_cast<void **>(frame[0]);
        }
        std::printf("\n");
        std::fflush(stdout);
        while (std::getchar() != EOF) {
        }
        return 1;
    }
    __attribute__((noinline)) static void *here() { return __builtin_return_address(0); }
};

namespace {
__attribute__((noinline)) int hidden(int depth) {
    return Walker<int>().stop(depth) + 1;
}
} // namespace

__attribute__((noinline)) int outer(int depth, const char *) {
    return hidden(depth) + 1;
}

} // namespace chain

int main() {
    return chain::outer(3, "") - 3;
}
