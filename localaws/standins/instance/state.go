package instance

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// ReadJSON fills v from a file; a missing file leaves v as it is.
func ReadJSON(path string, v any) error {
	body, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	return nil
}

// WriteJSON replaces a file as a whole, so that no reader sees half of it.
func WriteJSON(path string, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return WriteFile(path, body)
}

// WriteFile replaces a file as a whole and makes its folder.
func WriteFile(path string, body []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	next := fmt.Sprintf("%s.%d", path, os.Getpid())
	if err := os.WriteFile(next, body, 0o644); err != nil {
		return err
	}
	return os.Rename(next, path)
}

// Lock waits for the exclusive lock on a file. It is held until the last copy
// of the returned file is closed: by the caller, by a child that inherited it,
// or by their ends, however they end.
func Lock(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX); err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return file, nil
}

// Locked reports whether another process holds the lock on a file.
func Locked(path string) bool {
	file, err := os.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	return syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

// MarkBoot writes the file that says when the instance was started. It holds the zero of the clock that the kernel counts in
// /proc/uptime, since what runs on the instance reads that. The kernel cuts it to hundredths of a second.
func MarkBoot(path string) error {
	text, err := os.ReadFile("/proc/uptime")
	if err != nil {
		return err
	}
	word, _, _ := strings.Cut(string(text), " ")
	up, err := time.ParseDuration(word + "s")
	if err != nil {
		return err
	}
	return WriteFile(path, []byte(time.Now().Add(-up-10*time.Millisecond).Format(time.RFC3339Nano)))
}
