package main

import (
	"bytes"
	"fmt"
	"os"
)

// writeOpenBaoSnippets writes, for each Linux target, the stanza of OpenBao's configuration that declares the plugin.
// The sum is that of the program, so that every architecture has its own. The image's place is the operator's to fill
// in: it is where they have put the image.
//
// https://openbao.org/docs/configuration/plugins/
func (b *builder) writeOpenBaoSnippets() error {
	for _, t := range b.targets {
		if t.os != "linux" {
			continue
		}
		sum, err := fileSum(b.path(b.fileName(t, t.programSuffix())))
		if err != nil {
			return fmt.Errorf("writing OpenBao's stanza for %s: %w", t, err)
		}
		image := "registry.example/" + pluginName
		if t.fips {
			image += "-fips140" // both images have the version as their tag
		}
		var text bytes.Buffer
		fmt.Fprintf(&text, `# For the configuration of a server on %s. Set image to the place in your registry that
# %s was copied to, under the tag %s.
# The same configuration needs plugin_directory, plugin_auto_download = true and plugin_auto_register = true.
plugin "secret" "%s" {
  image       = %q
  version     = %q
  binary_name = %q
  sha256sum   = %q
}
`, t, b.imageName(t.fips), b.version, pluginName, image, b.version, pluginName, sum)
		if err := os.WriteFile(b.path(b.fileName(t, "_openbao.hcl")), text.Bytes(), 0o644); err != nil {
			return fmt.Errorf("writing OpenBao's stanza for %s: %w", t, err)
		}
	}
	return nil
}
