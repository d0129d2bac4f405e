// Command app is the batch job in the sample image: it greets, leaves a file
// in ./output and ends as it is told, or serves /health until SIGTERM.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

func main() {
	code, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(code)
}

func run() (int, error) {
	exit, err := strconv.Atoi(cmp.Or(os.Getenv("EXIT_CODE"), "0"))
	if err != nil {
		return 0, fmt.Errorf("read EXIT_CODE: %w", err)
	}
	sleep, err := time.ParseDuration(cmp.Or(os.Getenv("SLEEP"), "0s"))
	if err != nil {
		return 0, fmt.Errorf("read SLEEP: %w", err)
	}
	flag.IntVar(&exit, "exit", exit, "exit status to end with")
	flag.DurationVar(&sleep, "sleep", sleep, "time to work")
	serve := flag.Bool("serve", false, "stay up and answer /health on 127.0.0.1:$PORT")
	flag.Parse()

	version := cmp.Or(os.Getenv("VERSION"), "unknown")
	greeting := cmp.Or(os.Getenv("GREETING"), "hello")
	fmt.Println("sample", version)
	lines, err := strconv.Atoi(cmp.Or(os.Getenv("LINES"), "0"))
	if err != nil {
		return 0, fmt.Errorf("read LINES: %w", err)
	}
	for i := range lines {
		fmt.Println("line", i)
	}
	line := fmt.Sprintf("%s from %s\n", greeting, version)
	if err := os.WriteFile(filepath.Join("output", "greeting.txt"), []byte(line), 0o644); err != nil {
		return 0, fmt.Errorf("write output: %w", err)
	}
	if os.Getenv("GRACEFUL") != "" { // when it is stopped, it ends as if its work was done
		stopped := make(chan os.Signal, 1)
		signal.Notify(stopped, syscall.SIGTERM)
		select {
		case <-stopped:
		case <-time.After(sleep):
		}
	} else {
		time.Sleep(sleep)
	}
	if *serve {
		return exit, serveHealth(version)
	}
	fmt.Printf("done, exit %d\n", exit)
	return exit, nil
}

func serveHealth(version string) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok", version) })
	server := &http.Server{Addr: "127.0.0.1:" + cmp.Or(os.Getenv("PORT"), "8080"), Handler: mux, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	fmt.Println("serving on", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve health: %w", err)
	}
	fmt.Println("stopped")
	return nil
}
