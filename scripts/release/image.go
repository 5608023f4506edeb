package main

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// trustStorePath is where Go looks for the system's trust store on Linux.
const trustStorePath = "etc/ssl/certs/ca-certificates.crt"

// writeImages writes one OCI image for all Linux targets, and one for those of FIPS 140-3, each as a tar of an OCI
// image layout. An image holds the program, a trust store and nothing else. Without Linux targets there is none.
//
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
func (b *builder) writeImages() error {
	return errors.Join(b.writeImage(false), b.writeImage(true))
}

func (b *builder) writeImage(fips bool) error {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	var images []mutate.IndexAddendum
	var ids bytes.Buffer
	for _, t := range b.targets {
		if t.os != "linux" || t.fips != fips {
			continue
		}
		image, err := b.image(t)
		if err != nil {
			return fmt.Errorf("making the image for %s: %w", t, err)
		}
		id, err := image.ConfigName()
		if err != nil {
			return fmt.Errorf("making the image for %s: %w", t, err)
		}
		fmt.Fprintf(&ids, "%s  %s\n", id.Hex, t)
		platform := &v1.Platform{OS: t.os, Architecture: t.arch, Variant: t.variant}
		images = append(images, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	if len(images) == 0 {
		return nil
	}
	name := b.imageName(fips)
	b.report("writing %s", name)
	index = mutate.AppendManifests(index, images...)
	err := writeFile(b.path(name), func(w io.Writer) error { return packImage(w, index, b.version) })
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	if err := os.WriteFile(b.path(b.imageIDsName(fips)), ids.Bytes(), 0o644); err != nil {
		return fmt.Errorf("writing the images' IDs: %w", err)
	}
	return nil
}

// imageIDsName is the file of what "vault plugin register -oci_image" takes as the sum: a container engine's ID of an
// image, which is the SHA-256 of its configuration.
func (b *builder) imageIDsName(fips bool) string { return b.imageFile(fips) + "_ids.txt" }

func (b *builder) imageName(fips bool) string { return b.imageFile(fips) + ".tar" }

func (b *builder) imageFile(fips bool) string {
	name := pluginName + "_" + b.version
	if fips {
		name += fipsSuffix
	}
	return name + "_image"
}

// image is that of one target: Vault and OpenBao find the program by the entrypoint.
func (b *builder) image(t target) (v1.Image, error) {
	program, err := os.ReadFile(b.path(b.fileName(t, t.programSuffix())))
	if err != nil {
		return nil, err
	}
	licenses, err := b.archiveFiles(t)
	if err != nil {
		return nil, err
	}
	files := []packedFile{
		{pluginName, 0o755, program},
		{trustStorePath, 0o644, trustStore()},
		{"licenses/LICENSE", 0o644, licenses[1].data},
		{"licenses/" + licensesName, 0o644, licenses[2].data},
	}
	var tarred bytes.Buffer
	if err := packTar(&tarred, files); err != nil {
		return nil, err
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(tarred.Bytes())), nil }
	layer, err := tarball.LayerFromOpener(open, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	created := v1.Time{Time: fileTime()}
	image, err = mutate.Append(image, mutate.Addendum{Layer: layer, History: v1.History{Created: created}})
	if err != nil {
		return nil, err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.Created = created
	config.OS, config.Architecture, config.Variant = t.os, t.arch, t.variant
	config.Config = v1.Config{
		Entrypoint: []string{"/" + pluginName},
		Labels: map[string]string{
			"org.opencontainers.image.title":    pluginName,
			"org.opencontainers.image.version":  b.version,
			"org.opencontainers.image.licenses": "MPL-2.0",
		},
	}
	return mutate.ConfigFile(image, config)
}

// trustStore is Mozilla's, at the version in go.sum. Roots that are trusted under conditions are left out, because
// PEM cannot say the conditions.
func trustStore() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a buffer takes everything
		}
	}
	return text.Bytes()
}

// packImage writes an OCI image layout whose one entry is the index, under the name of the version.
func packImage(w io.Writer, index v1.ImageIndex, version string) (err error) {
	dir, err := os.MkdirTemp("", "release-image-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	path, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	name := layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": version})
	if err := path.AppendIndex(index, name); err != nil {
		return err
	}
	var files []packedFile
	err = filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(path)
		files = append(files, packedFile{filepath.ToSlash(name), 0o644, data})
		return err
	})
	if err != nil {
		return err
	}
	return packTar(w, files)
}
