package acceptance

import (
	"strings"
	"testing"
)

// clusterLeaders reads on the standbys while the active node steps down, and while the next one is killed, each in the
// middle of a rotation, and the latter of a renewal too.
func clusterLeaders(t *testing.T, c *clusterStack) {
	s := c.begin(t)
	s.write("config/outliving", s.fields(map[string]any{"generate_lease": false}))
	want := credentialsOf(s.read("creds/outliving"))
	rows := []string{strings.TrimRight(processTableHead, "\n")}

	rotation := c.beginRotation(t, "rotating-over-step-down")
	row, _ := c.readOnStandbys(t, "operator step-down", func() { c.leader = c.cluster.StepDown() }, rotation.path())
	rotation.ends()
	rows = append(rows, row)
	rotation = c.beginRotation(t, "rotating-over-kill")
	renewal := c.beginRenewal(t, "renewing-over-kill")
	row, failed := c.readOnStandbys(t, "kill -9 of the leader", func() { c.leader = c.cluster.Kill(c.leader) },
		rotation.path(), renewal.path())
	rotation.ends()
	renewal.ends()
	rows = append(rows, row)
	t.Log(strings.Join(rows, "\n"))
	if c.answers && failed > 0 {
		t.Errorf("%d reads on standbys failed when the leader was killed", failed)
	}
	leader := c.at(t, c.leader)
	if got := credentialsOf(leader.readSoon(leader.api, "creds/outliving")); got != want {
		t.Error("the next leader hands out another session")
	}
	s.assertCalls("two changes of the leader", 1)
	leader.mustListBuckets(want)

	// What the nodes are now they know: the next leader obtains sessions and makes leases, and its standbys pass on.
	s = c.begin(t)
	s.write("config/after", s.fields(nil))
	for i, via := range c.each(t) {
		if via.vault.Running() && via.read("creds/after").LeaseID == "" {
			t.Errorf("node %d answers without a lease after the changes", i)
		}
	}
	s.assertCalls("a connection of the next leader", 1)
}

// readOnStandbys has readers on every standby, of paths and of a connection with sessions, meet a change of the leader.
// It returns the row of a table, and how many reads failed.
func (c *clusterStack) readOnStandbys(t *testing.T, fault string, do func(), paths ...string) (row string, failed int) {
	paths = append(paths, "s3conn/creds/outliving", "s3conn/sdk/outliving", "s3conn/creds/outliving",
		"s3conn/sdk/outliving")
	var readers []*reader
	for _, standby := range c.each(t)[1:] {
		if !standby.vault.Running() {
			continue
		}
		load := startLoad(t, newRawVault(t, standby.vault), paths...)
		readers = append(readers, load.readers...)
		defer load.stop()
	}
	all := &load{readers: readers}
	if !all.waitServed(t.Context(), serverRecovery) {
		t.Fatalf("%s: the readers are not served before: %s", fault, all.take().says)
	}
	s := &serverUnderLoad{t: t, load: all}
	row = s.meet(processFault{name: fault, do: do})
	return row, all.take().failed
}
