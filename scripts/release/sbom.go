package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// sbomSuffix ends the name of a program's SBOM.
const sbomSuffix = ".cdx.json"

// writeSBOMs writes what each program is made of, as CycloneDX JSON, read from the program itself; the licenses are
// read from the module cache, which holds every module that was just linked.
//
// https://cyclonedx.org/docs/1.6/json/
func (b *builder) writeSBOMs() error {
	for _, t := range b.targets {
		b.report("listing the components for %s", t)
		if err := b.writeSBOM(t); err != nil {
			return fmt.Errorf("listing the components for %s: %w", t, err)
		}
	}
	return nil
}

func (b *builder) writeSBOM(t target) error {
	name := b.fileName(t, sbomSuffix)
	// Without a proxy, so that the result does not depend on what one has.
	_, err := command("", []string{"GOPROXY=off", "GOFLAGS="}, "go", "tool", "cyclonedx-gomod", "bin",
		"-json", "-output-version", "1.6", "-licenses", "-std", "-noserial", "-notimestamp",
		"-version", b.version, "-output", b.path(name), b.path(b.fileName(t, t.programSuffix())))
	if err != nil {
		return err
	}
	return b.completeSBOM(t, b.path(name))
}

// completeSBOM removes the checksums of the program that wrote the SBOM, which differ with the machine that it was
// built on, gives modules inside the source tree their names, because to the program that was built they are
// directories without a version, and names the cryptographic module, which is a setting of the build and no Go module.
func (b *builder) completeSBOM(t target, path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	inside := regexp.MustCompile(`pkg:golang/\./([^@"]+)@\(devel\)`)
	text = inside.ReplaceAll(text, []byte("pkg:golang/"+modulePath+"/${1}@"+b.version))
	bom, err := decodeSBOM(text)
	if err != nil {
		return err
	}
	for i, c := range *bom.Components {
		if name, found := strings.CutPrefix(c.Name, "./"); found {
			(*bom.Components)[i].Name, (*bom.Components)[i].Version = modulePath+"/"+name, b.version
		}
	}
	if t.fips && bom.Metadata.Properties != nil {
		module := cdx.Property{Name: "cdx:gomod:build:env:GOFIPS140", Value: fipsModule}
		*bom.Metadata.Properties = append(*bom.Metadata.Properties, module)
	}
	if bom.Metadata.Tools != nil && bom.Metadata.Tools.Tools != nil {
		tools := *bom.Metadata.Tools.Tools
		for i := range tools {
			tools[i].Hashes = nil
		}
	}
	if err := os.Remove(path); err != nil {
		return err
	}
	return writeFile(path, func(w io.Writer) error {
		return cdx.NewBOMEncoder(w, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
	})
}

func decodeSBOM(text []byte) (*cdx.BOM, error) {
	var bom cdx.BOM
	if err := cdx.NewBOMDecoder(bytes.NewReader(text), cdx.BOMFileFormatJSON).Decode(&bom); err != nil {
		return nil, fmt.Errorf("reading the SBOM: %w", err)
	}
	if bom.Metadata == nil || bom.Components == nil {
		return nil, errors.New("reading the SBOM: it names no components")
	}
	return &bom, nil
}
