// In a goroutine of its own: main.main.func1 → outer → square.area (through an interface) → each → a closure → leaf, which
// computes. Says "ready", then goes on for ever.
package main

import "fmt"

type shape interface{ area(seed uint64) uint64 }

type square struct{ side uint64 }

var done uint64

//go:noinline
func leaf(seed uint64) uint64 {
	for i := 0; i < 2000000; i++ {
		seed = seed*2862933555777941757 + 3037000493
	}
	return seed
}

//go:noinline
func each(n int, do func(uint64) uint64) uint64 {
	sum := uint64(0)
	for i := 0; i < n; i++ {
		sum += do(uint64(i))
	}
	return sum
}

//go:noinline
func (s square) area(seed uint64) uint64 {
	return each(2, func(i uint64) uint64 { return leaf(seed+i+s.side) + 1 }) + 1
}

//go:noinline
func outer(s shape, seed uint64) uint64 { return s.area(seed) + 1 }

func main() {
	fmt.Println("ready")
	go func() {
		for {
			done = outer(square{3}, done)
		}
	}()
	select {}
}
