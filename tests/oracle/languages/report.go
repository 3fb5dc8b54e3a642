// Reports what a program of Go sees and does through its standard library. The other programs print the same.
package main

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"strings"
	"time"
)

const root = "/data/"

func must(err error) {
	if err != nil {
		panic(err)
	}
}

func kind(entry fs.DirEntry) string {
	switch {
	case entry.Type()&fs.ModeSymlink != 0:
		return "symlink"
	case entry.IsDir():
		return "directory"
	default:
		return "file"
	}
}

// Sorts numbers in four goroutines, then all of them.
func numbers() uint32 {
	parts := make(chan []uint32)
	for part := range uint32(4) {
		go func() {
			var numbers []uint32
			state := part
			for range 25000 {
				state = state*1664525 + 1013904223
				numbers = append(numbers, state)
			}
			sort.Slice(numbers, func(a, b int) bool { return numbers[a] < numbers[b] })
			parts <- numbers
		}()
	}
	var all []uint32
	for range 4 {
		all = append(all, <-parts...)
	}
	sort.Slice(all, func(a, b int) bool { return all[a] < all[b] })
	hash := uint32(0)
	for _, number := range all {
		hash = hash*31 + number
	}
	return hash
}

func main() {
	fmt.Println("arguments:", strings.Join(os.Args[1:], "|"))
	variables := os.Environ()
	sort.Strings(variables)
	fmt.Println("environment:", strings.Join(variables, " "))
	input, err := io.ReadAll(os.Stdin)
	must(err)
	fmt.Println("input:", string(input))

	entries, err := os.ReadDir(root)
	must(err)
	for _, entry := range entries {
		fmt.Println(kind(entry), entry.Name())
	}
	text, err := os.ReadFile(root + "link/deep")
	must(err)
	fmt.Println("through a symlink:", string(text))
	_, err = os.ReadFile(root + "missing")
	fmt.Println("missing:", errors.Is(err, fs.ErrNotExist))
	_, err = os.ReadFile(root + "outside/secret")
	fmt.Println("outside: refused", err != nil)
	err = os.Mkdir(root+"directory", 0o777)
	fmt.Println("exists:", errors.Is(err, fs.ErrExist))

	must(os.MkdirAll(root+"made/inner", 0o777))
	file, err := os.Create(root + "made/inner/lines")
	must(err)
	writer := bufio.NewWriter(file)
	for number := range 1000 {
		fmt.Fprintln(writer, "line", number)
	}
	must(writer.Flush())
	must(file.Close())
	must(os.Rename(root+"made/inner/lines", root+"made/lines"))
	must(os.Remove(root + "made/inner"))
	file, err = os.OpenFile(root+"made/lines", os.O_APPEND|os.O_WRONLY, 0)
	must(err)
	_, err = file.WriteString("end\n")
	must(err)
	must(file.Close())
	status, err := os.Stat(root + "made/lines")
	must(err)
	text, err = os.ReadFile(root + "made/lines")
	must(err)
	fmt.Println("lines:", strings.Count(string(text), "\n"), "bytes:", status.Size())
	must(os.Truncate(root+"made/lines", 7))

	fmt.Println("numbers:", numbers())
	start := time.Now()
	time.Sleep(time.Millisecond)
	fmt.Println("slept:", time.Since(start) >= time.Millisecond)
	random := make([]byte, 32)
	_, err = rand.Read(random)
	must(err)
	fmt.Println("random:", string(random) != string(make([]byte, 32)))
	fmt.Fprintln(os.Stderr, "to standard error")
	os.Exit(7)
}
