package docker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"
)

// entry is one line of a container's log, in the json-file driver's format.
type entry struct {
	Log    string `json:"log"`
	Stream string `json:"stream"`
	Time   string `json:"time"`
}

// stream is one output of a program on its way into the log, line by line.
type stream struct {
	recorder *recorder
	name     string
	partial  []byte
}

// Write records whole lines and keeps the rest.
func (s *stream) Write(p []byte) (int, error) {
	s.partial = append(s.partial, p...)
	for {
		end := bytes.IndexByte(s.partial, '\n') + 1
		if end == 0 {
			return len(p), nil
		}
		if err := s.recordLine(s.partial[:end]); err != nil {
			return 0, err
		}
		s.partial = s.partial[end:]
	}
}

func (s *stream) flushLine() {
	if len(s.partial) > 0 {
		_ = s.recordLine(s.partial)
	}
}

func (s *stream) recordLine(line []byte) error {
	body, err := json.Marshal(entry{string(line), s.name, timestamp()})
	if err != nil {
		return err
	}
	s.recorder.mu.Lock()
	defer s.recorder.mu.Unlock()
	_, err = s.recorder.file.Write(append(body, '\n'))
	return err
}

// follower copies a log to the outputs as it grows.
type follower struct {
	source         *bufio.Reader
	stdout, stderr io.Writer
	partial        []byte
	timestamps     bool
}

// copyNewLines copies what is there now.
func (f *follower) copyNewLines() error {
	for {
		line, err := f.source.ReadBytes('\n')
		f.partial = append(f.partial, line...)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := f.printLine(f.partial); err != nil {
			return err
		}
		f.partial = f.partial[:0]
	}
}

func (f *follower) printLine(line []byte) error {
	var e entry
	if err := json.Unmarshal(line, &e); err != nil {
		return fmt.Errorf("read log: %w", err)
	}
	w := f.stdout
	if e.Stream == "stderr" {
		w = f.stderr
	}
	if f.timestamps {
		e.Log = e.Time + " " + e.Log
	}
	_, _ = io.WriteString(w, e.Log) // a closed output does not end the container
	return nil
}

func (e *engine) printLogs(args []string) error {
	options, rest, err := parseOptions(args, "follow,f tail,n= timestamps,t", true)
	if err != nil {
		return err
	}
	if err := needArguments("logs", rest, 1, 1); err != nil {
		return err
	}
	c, err := e.findContainer(rest[0])
	if err != nil {
		return err
	}
	if c.HostConfig.LogConfig.Type == "none" {
		return daemonError("configured logging driver does not support reading")
	}
	body, err := os.ReadFile(c.LogPath)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	size := len(body)
	if n, err := strconv.Atoi(options.Last("tail")); err == nil {
		lines := bytes.SplitAfter(body, []byte("\n"))
		body = bytes.Join(lines[max(0, len(lines)-1-n):], nil)
	}
	f := &follower{source: bufio.NewReader(bytes.NewReader(body)), stdout: os.Stdout, stderr: os.Stderr, timestamps: options.Has("timestamps")}
	if err := f.copyNewLines(); err != nil || !options.Has("follow") {
		return err
	}
	file, err := os.Open(c.LogPath)
	if err != nil {
		return err
	}
	defer file.Close()
	if _, err := file.Seek(int64(size), io.SeekStart); err != nil {
		return err
	}
	f.source = bufio.NewReader(file)
	for ended := false; !ended; {
		_, ended = e.waitUntilEnded(c, 20*time.Millisecond)
		if err := f.copyNewLines(); err != nil {
			return err
		}
	}
	return nil
}
