package main

import (
	"fmt"
	"io"
	"os"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Log files are packed and begun anew, as Digdag does it (language.md 9.1).
const (
	logFileSize = 10 // megabytes
	logFileKept = 5  // packed ones
)

// openLogFile opens the file of -L, at whose end log lines are added. When it is
// full it is packed, under a name with the time, and a new one begun.
func openLogFile(name string) (io.WriteCloser, error) {
	// The file is made here, because what is wrong with it should be known now, and to be readable for others.
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return &lumberjack.Logger{Filename: name, MaxSize: logFileSize, MaxBackups: logFileKept, LocalTime: true, Compress: true}, nil
}
