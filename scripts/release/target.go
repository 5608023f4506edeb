package main

import (
	"fmt"
	"slices"
	"strings"
)

// target is a platform that a release is built for.
type target struct {
	os, arch string
	// level is the setting of the architecture's instruction set, as KEY=VALUE, so that the builder's own environment
	// does not choose it.
	level string
	// variant is the architecture's variant in a container image, where it has one.
	variant string
	// fips says that the program is built with fipsModule.
	fips bool
}

// fipsModule is the version of Go's cryptographic module for FIPS 140-3 that has a certificate.
//
// https://go.dev/doc/security/fips140
const fipsModule = "v1.0.0"

// fipsSuffix ends the platform's part of the names of files that belong to FIPS 140-3.
const fipsSuffix = "_fips140"

// targets are the platforms that Go reaches without C, and those on Linux once more for FIPS 140-3.
func targets() []target {
	all := platforms()
	for _, t := range platforms() {
		if t.os == "linux" {
			t.fips = true
			all = append(all, t)
		}
	}
	return all
}

func platforms() []target {
	amd64, arm64 := "GOAMD64=v1", "GOARM64=v8.0"
	return []target{
		{os: "linux", arch: "amd64", level: amd64},
		{os: "linux", arch: "arm64", level: arm64},
		{os: "linux", arch: "arm", level: "GOARM=7", variant: "v7"},
		{os: "linux", arch: "ppc64le", level: "GOPPC64=power8"},
		{os: "linux", arch: "s390x"},
		{os: "darwin", arch: "amd64", level: amd64},
		{os: "darwin", arch: "arm64", level: arm64},
		{os: "freebsd", arch: "amd64", level: amd64},
		{os: "freebsd", arch: "arm64", level: arm64},
		{os: "windows", arch: "amd64", level: amd64},
		{os: "windows", arch: "arm64", level: arm64},
	}
}

// String is how -targets and the progress name the target.
func (t target) String() string {
	if t.fips {
		return t.os + "/" + t.arch + "/fips140"
	}
	return t.os + "/" + t.arch
}

// programSuffix ends the name of a program of the target.
func (t target) programSuffix() string {
	if t.os == "windows" {
		return ".exe"
	}
	return ""
}

// module is what GOFIPS140 is set to.
func (t target) module() string {
	if t.fips {
		return fipsModule
	}
	return "off"
}

// environment is what makes "go build" build for the target, and nothing else of the builder's environment.
func (t target) environment() []string {
	set := []string{
		"GOOS=" + t.os, "GOARCH=" + t.arch,
		"CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=-mod=readonly", "GOEXPERIMENT=", "GOFIPS140=" + t.module(),
	}
	if t.level != "" {
		set = append(set, t.level)
	}
	return set
}

// chooseTargets reads a list such as "linux/amd64,linux/amd64/fips140"; "all" stands for every target.
func chooseTargets(list string) ([]target, error) {
	all := targets()
	if list == "all" {
		return all, nil
	}
	var chosen []target
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(t target) bool { return t.String() == name })
		if i < 0 {
			return nil, fmt.Errorf("%q is not one of the release's platforms", name)
		}
		if slices.Contains(chosen, all[i]) {
			return nil, fmt.Errorf("%q is given twice", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
