package main

import (
	"archive/tar"
	"archive/zip"
	"compress/flate"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// packedFile is a file on its way into an archive or image.
type packedFile struct {
	name string // with slashes, relative
	mode int64
	data []byte
}

// fileTime is that of every packed file: the earliest that a zip can say. A time of the build would make each build
// different, and one of the repository would make a build need the repository.
func fileTime() time.Time { return time.Date(1980, time.January, 1, 0, 0, 0, 0, time.UTC) }

// writeArchives packs each program with its licenses, as a zip for Windows and as a tar.gz elsewhere.
func (b *builder) writeArchives() error {
	for _, t := range b.targets {
		files, err := b.archiveFiles(t)
		if err != nil {
			return fmt.Errorf("packing for %s: %w", t, err)
		}
		suffix, pack := ".tar.gz", packTarGzip
		if t.os == "windows" {
			suffix, pack = ".zip", packZip
		}
		archive := b.path(b.fileName(t, suffix))
		if err := writeFile(archive, func(w io.Writer) error { return pack(w, files) }); err != nil {
			return fmt.Errorf("packing for %s: %w", t, err)
		}
	}
	return nil
}

// archiveFiles are the program, under the name of the bare program, because its version belongs into the name that a
// server finds it by, and what has to go with it.
func (b *builder) archiveFiles(t target) ([]packedFile, error) {
	program := b.fileName(t, t.programSuffix())
	var files []packedFile
	for _, f := range []struct {
		name, path string
		mode       int64
	}{
		{program, b.path(program), 0o755},
		{"LICENSE", filepath.Join(b.source, "LICENSE"), 0o644},
		{licensesName, b.path(licensesName), 0o644},
		{"CHANGELOG.md", filepath.Join(b.source, "CHANGELOG.md"), 0o644},
	} {
		data, err := os.ReadFile(f.path)
		if err != nil {
			return nil, err
		}
		files = append(files, packedFile{f.name, f.mode, data})
	}
	return files, nil
}

func packTarGzip(w io.Writer, files []packedFile) error {
	compressed, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := packTar(compressed, files); err != nil {
		return err
	}
	return compressed.Close()
}

func packTar(w io.Writer, files []packedFile) error {
	archive := tar.NewWriter(w)
	for _, f := range files {
		header := &tar.Header{
			Typeflag: tar.TypeReg, Format: tar.FormatUSTAR,
			Name: f.name, Mode: f.mode, Size: int64(len(f.data)), ModTime: fileTime(),
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

func packZip(w io.Writer, files []packedFile) error {
	archive := zip.NewWriter(w)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	for _, f := range files {
		header := &zip.FileHeader{Name: f.name, Method: zip.Deflate, Modified: fileTime()}
		header.SetMode(os.FileMode(f.mode))
		entry, err := archive.CreateHeader(header)
		if err != nil {
			return err
		}
		if _, err := entry.Write(f.data); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeFile writes a new file with what write gives it.
func writeFile(path string, write func(io.Writer) error) error {
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
