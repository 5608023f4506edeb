package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
)

// sumsName is the file of every other file's SHA-256, in the form that "sha256sum -c" reads. It is what a releaser
// signs.
const sumsName = "SHA256SUMS"

func (b *builder) writeSums() error {
	entries, err := os.ReadDir(b.out) // sorted by name
	if err != nil {
		return fmt.Errorf("summing up: %w", err)
	}
	var sums bytes.Buffer
	for _, entry := range entries {
		sum, err := fileSum(b.path(entry.Name()))
		if err != nil {
			return fmt.Errorf("summing up: %w", err)
		}
		fmt.Fprintf(&sums, "%s  %s\n", sum, entry.Name())
	}
	if err := os.WriteFile(b.path(sumsName), sums.Bytes(), 0o644); err != nil {
		return fmt.Errorf("summing up: %w", err)
	}
	return nil
}

// fileSum is a file's SHA-256 in hexadecimal.
func fileSum(path string) (string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", sha256.Sum256(data)), nil
}
