//go:build realpg

package pg

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"pgsqlms/internal/wal"
)

// askPrimary fails the test when the primary could not be asked.
func (s *server) askPrimary() Upstream {
	s.t.Helper()
	u, err := s.AskPrimary(s.t.Context())
	require.NoError(s.t, err)
	require.NotContains(s.t, u.Refusal, "sesame")
	return u
}

// sends is what a primary says that sends its log.
func (s *server) sends() Upstream {
	s.t.Helper()
	p := s.position()
	return Upstream{Address: s.address(), Timeline: p.Timeline, End: p.LSN, History: must(s.History(p.Timeline)), Compared: true}
}

// asks sets primary_conninfo.
func (s *server) asks(conninfo string) {
	s.t.Helper()
	s.configure("primary_conninfo = '" + strings.NewReplacer(`\`, `\\`, `'`, `''`).Replace(conninfo) + "'")
	require.NoError(s.t, s.Reload(s.t.Context()))
	s.wait("the setting is in force", func() bool { return s.sql("SHOW primary_conninfo") == conninfo })
}

// noReceiver ends streaming, and freezes the process that would begin anew.
func (s *server) noReceiver() {
	s.t.Helper()
	conninfo := s.sql("SHOW primary_conninfo")
	s.asks("")
	s.wait("no receiver", func() bool { return s.status().Receiver == nil })
	signal(s.t, s.process("startup"), syscall.SIGSTOP)
	s.asks(conninfo)
}

func TestRealAskPrimary(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	require.Equal(t, primary.sends(), standby.askPrimary(), "it has all there is")
	standby.sql("SELECT pg_wal_replay_pause()")
	primary.write()
	require.Equal(t, primary.sends(), standby.askPrimary(), "it has not replayed all there is")
	primary.wait("nobody else is left", func() bool { return len(primary.status().Standbys) == 1 })
	isRoot(t)

	_, err := primary.AskPrimary(t.Context())
	require.ErrorContains(t, err, "is a primary")
}

// Whatever libpq knows to tune a connection, and whatever the environment says.
func TestRealAskPrimaryParameters(t *testing.T) {
	for name, value := range map[string]string{
		"PGHOST": "/nowhere", "PGPORT": "1", "PGUSER": "x", "PGSSLMODE": "bogus", "PGOPTIONS": "-c nonsense=1",
		"PGTARGETSESSIONATTRS": "standby", "PGSERVICE": "x", "PGREQUIREAUTH": "none",
	} {
		t.Setenv(name, value)
	}
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	socket := primary.file("socket")
	for _, conninfo := range []string{
		"host=" + socket + " keepalives=1 keepalives_idle=10 keepalives_interval=1 keepalives_count=2 tcp_user_timeout=100 " +
			"gssencmode=prefer channel_binding=prefer fallback_application_name=x application_name=b dbname=nowhere krbsrvname=x " +
			"connect_timeout=3 sslmode=prefer sslcompression=0 ssl_min_protocol_version=TLSv1.2 load_balance_hosts=disable",
		"postgresql:///?host=" + strings.ReplaceAll(socket, "/", "%2F"),
		"host='" + socket + "' port='' user=postgres options='-c wal_sender_timeout=30s'",
		"host=/nowhere," + socket,
		"host=/nowhere," + socket + " port=5433,5432 target_session_attrs=read-write requirepeer=postgres",
		"host=" + standby.file("socket") + "," + socket + " target_session_attrs=primary",
	} {
		standby.asks(conninfo)
		require.Equal(t, primary.sends(), standby.askPrimary(), conninfo)
	}
	for conninfo, want := range map[string]string{
		"host=/nowhere port=77":                            "/nowhere/.s.PGSQL.77: no server listens there",
		"host=/nowhere,/nor-there":                         "/nowhere/.s.PGSQL.5432: no server listens there; /nor-there/.s.PGSQL.5432: no server listens there",
		"hostaddr=127.0.0.1 port=1":                        "127.0.0.1:1: no server listens there",
		"host=no-such-host.invalid":                        "no-such-host.invalid:5432: ",
		"host=" + socket + " target_session_attrs=standby": "target_session_attrs=standby",
		"host=" + socket + " requirepeer=root":             "requirepeer",
	} {
		standby.asks(conninfo + ` password=open\'sesame`)
		u, err := standby.AskPrimary(t.Context())
		require.ErrorContains(t, err, want, conninfo)
		require.NotErrorIs(t, err, ErrConninfo)
		require.NotContains(t, err.Error(), "\n")
		require.NotContains(t, err.Error(), "sesame")
		require.Equal(t, Upstream{}, u)
	}
	for conninfo, want := range map[string]string{
		"host=" + socket + " user=stranger":                    `Peer authentication failed for user "stranger"`,
		"host=" + socket + ",/nowhere user=stranger":           `Peer authentication failed for user "stranger"`,
		"host=/nowhere," + socket + " options='-c nonsense=1'": `unrecognized configuration parameter "nonsense"`,
	} {
		standby.asks(conninfo)
		require.Equal(t, Upstream{Address: primary.address(), Refusal: want}, standby.askPrimary(), conninfo)
	}
	for _, conninfo := range []string{
		"host=" + socket + " sslcrl=/x", "host=" + socket + " service=x", "host=" + socket + " gssencmode=require",
		"host=a,b port=1,2,3", "host=a hostaddr=127.0.0.1,127.0.0.2", "host=x port=http", "host=x port=0", "host=x sslmode=bogus",
		"host=x sslmode=verify-full sslrootcert=/nowhere", "host=x target_session_attrs=bogus", "host=x ssl_max_protocol_version=TLSv1.1",
		"host=x channel_binding=bogus", "host=x require_auth=bogus", "no conninfo", "",
	} {
		if conninfo != "" {
			conninfo += ` password=open\'sesame`
		}
		standby.asks(conninfo)
		_, err := standby.AskPrimary(t.Context())
		require.ErrorIs(t, err, ErrConninfo, conninfo)
		require.NotContains(t, err.Error(), "sesame")
		t.Log(err)
	}
}

// An old primary that wrote on after its successor had left.
func TestRealAskPrimaryAfterDivergence(t *testing.T) {
	a := newPrimary(t).start()
	b := newStandby(t, a, "b").start()
	a.write()
	a.waitStreaming("b")
	b.promote()
	left := must(b.History(2)).Parent()
	a.write()
	a.stop(Fast)
	end := must(a.Control(t.Context())).Checkpoint
	require.NoError(t, a.SetStandby(t.Context()))
	a.follow(b, "a")
	a.start()
	u := a.askPrimary()
	require.Equal(t, wal.Position{Timeline: 1, LSN: left.End}, u.Divergence.Left)
	require.Greater(t, u.Divergence.Bytes, uint64(end-left.End))
	require.Less(t, u.Divergence.Bytes, uint64(end-left.End)+200)
	require.Contains(t, u.Refusal, fmt.Sprintf("requested starting point %s on timeline 1 is not in this server's history ("+
		"This server's history forked from timeline 1 at %s.)", a.standing().Replayed.LSN, left.End))
	require.Equal(t, wal.Timeline(2), u.Timeline)

	// The other way round: who was promoted by hand, and asks the old primary.
	a.stop(Fast)
	require.NoError(t, os.Remove(a.data("standby.signal")))
	a.start()
	b.write()
	b.stop(Fast)
	require.NoError(t, b.SetStandby(t.Context()))
	b.follow(a, "b")
	b.start()
	u = b.askPrimary()
	require.Equal(t, wal.Position{Timeline: 1, LSN: left.End}, u.Divergence.Left)
	require.Contains(t, u.Refusal, "highest timeline 1 of the primary is behind recovery timeline 2")
	require.True(t, u.Behind)

	// Without a history of its own nothing can be compared.
	require.NoError(t, os.Remove(b.data("pg_wal/00000002.history")))
	u = b.askPrimary()
	require.Nil(t, u.Divergence, "it cannot be told")
	require.False(t, u.Compared)
}

// PostgreSQL sends timeline 2 to whoever has begun another timeline 2, and sees
// nothing wrong.
func TestRealAskPrimaryOfTheSameTimelineTwice(t *testing.T) {
	p := newPrimary(t).start()
	a, b := newStandby(t, p, "a").start(), newStandby(t, p, "b").start()
	p.write()
	p.waitStreaming("a")
	a.stop(Fast)
	p.write()
	p.waitStreaming("b")
	p.stop(Immediate)
	a.start()
	a.promote()
	left := must(a.History(2)).Parent().End
	a.stop(Immediate)
	b.promote()
	b.sql("CREATE TABLE public.other AS SELECT generate_series(1, 100000) AS n")
	require.NoError(t, a.SetStandby(t.Context()))
	a.follow(b, "a")
	a.start()
	u := a.askPrimary()
	require.Empty(t, u.Refusal)
	require.Equal(t, wal.Position{Timeline: 1, LSN: left}, u.Divergence.Left)
	require.Positive(t, u.Divergence.Bytes)
}

// What a standby has received past the place where its primary left the timeline
// is not in its data yet. PostgreSQL puts it there. Should this fail, it has
// learned better, and Divergence.Pending means nothing any more.
func TestRealAskPrimaryWithLogItNeverHad(t *testing.T) {
	p, s := family(t, "a", "b")
	a, b := s[0], s[1]
	b.sql("SELECT pg_wal_replay_pause()")
	a.stop(Fast)
	p.write()
	b.wait("all has been received", func() bool { return b.position() == p.position() })
	p.stop(Immediate)
	a.start()
	a.promote()
	left := must(a.History(2)).Parent().End
	b.redirect(a, "b")
	standing := b.standing()
	require.LessOrEqual(t, standing.Replayed.LSN, left)
	want := &Divergence{Left: wal.Position{Timeline: 1, LSN: left}, Bytes: uint64(standing.End.LSN - left), Pending: true}
	u := b.askPrimary()
	require.Empty(t, u.Refusal)
	require.Equal(t, want, u.Divergence)
	b.sql("SELECT pg_wal_replay_resume()")
	b.wait("it has diverged", func() bool { return !b.askPrimary().Divergence.Pending })
	want.Pending = false
	require.Equal(t, want, b.askPrimary().Divergence)
}

// A server that is a standby itself may be late, and has lost nothing.
func TestRealAskPrimaryThatIsAStandby(t *testing.T) {
	p, s := family(t, "a", "b")
	a, b := s[0], s[1]
	require.Equal(t, p.sends(), b.askPrimary())
	a.stop(Fast)
	p.write()
	p.waitStreaming("b")
	p.stop(Fast)
	a.start()
	b.asks("host=" + a.file("socket"))
	u := b.askPrimary()
	require.Contains(t, u.Refusal, "is ahead of the WAL flush position of this server")
	require.Nil(t, u.Divergence)
}

func TestRealAskPrimaryThatLacksTheLog(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	standby.stop(Fast)
	for range 3 {
		primary.write()
		primary.sql("SELECT pg_switch_wal(); CHECKPOINT")
	}
	standby.start()
	u := standby.askPrimary()
	require.Regexp(t, "requested WAL segment 00000001[0-9A-F]{16} has already been removed", u.Refusal)
	require.Nil(t, u.Divergence)
	require.Equal(t, primary.position(), wal.Position{Timeline: u.Timeline, LSN: u.End})
}

func TestRealAskPrimaryThatWasSetBack(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	primary.stop(Fast)
	out, err := exec.Command("cp", "-a", primary.file("data"), primary.file("copy")).CombinedOutput()
	require.NoError(t, err, string(out))
	primary.start()
	primary.write()
	primary.waitStreaming("b")
	primary.stop(Immediate)
	require.NoError(t, os.RemoveAll(primary.file("data")))
	require.NoError(t, os.Rename(primary.file("copy"), primary.file("data")))
	primary.start()
	u := standby.askPrimary()
	require.Contains(t, u.Refusal, "is ahead of the WAL flush position of this server")
	require.Equal(t, primary.position(), u.Divergence.Left)
	require.Equal(t, uint64(standby.standing().Replayed.LSN-primary.position().LSN), u.Divergence.Bytes)
}

func TestRealAskPrimaryThatRefuses(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("password_encryption = 'scram-sha-256'")
	primary.start()
	primary.sql("CREATE ROLE rep LOGIN REPLICATION PASSWORD 'open''sesame\\'; CREATE ROLE weak LOGIN")
	primary.plant("pg_hba.conf", "local replication postgres peer\nlocal all postgres peer\nlocal replication rep scram-sha-256\nlocal replication weak trust\n")
	require.NoError(t, primary.Reload(t.Context()))
	standby := newStandby(t, primary, "b").start()
	where := "host=" + primary.file("socket") + " "
	weak := "must be superuser or replication role to start walsender"
	if has(16, standby) == 1 {
		weak = "permission denied to start WAL sender (Only roles with the REPLICATION attribute may start a WAL sender process.)"
	}
	for conninfo, want := range map[string]string{
		"user=rep password=wrong": `password authentication failed for user "rep"`,
		"user=rep":                `password authentication failed for user "rep"`,
		"user=weak":               weak,
		"user=other":              `no pg_hba.conf entry for replication connection from host "[local]", user "other"` + notEncrypted(standby),
	} {
		standby.asks(where + conninfo)
		u := standby.askPrimary()
		require.Equal(t, Upstream{Address: primary.address(), Refusal: want}, u)
	}
	const good = `user=rep password='open\'sesame\\'`
	standby.asks(where + good)
	require.Equal(t, primary.sends(), standby.askPrimary())

	// Its files are read as the system user, and by libpq's rules.
	line := primary.file("socket") + ":5432:replication:rep:open'sesame\\\\\n"
	pass := func(name, text string, mode os.FileMode, owned bool) string {
		path := standby.file(name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		require.NoError(t, os.Chmod(path, mode))
		if owned {
			standby.own(path)
		}
		return path
	}
	for path, granted := range map[string]bool{
		pass("good", line, 0o600, true):        true,
		pass("open", line, 0o644, true):        false,
		pass("roots", line, 0o600, false):      false,
		pass("another", "x"+line, 0o600, true): false,
		pass("for a database", strings.Replace(line, "replication", "postgres", 1), 0o600, true): false,
	} {
		standby.asks(where + "user=rep passfile='" + path + "'")
		require.Equal(t, granted, standby.askPrimary().Refusal == "", path)
	}
	standby.cfg.User.Home = standby.dir
	pass(".pgpass", line, 0o600, true)
	standby.asks(where + "user=rep")
	require.Equal(t, primary.sends(), standby.askPrimary())

	// What root may read and the system user may not, and what never ends.
	standby.asks("host=x sslmode=verify-ca sslrootcert=/etc/shadow")
	_, err := standby.AskPrimary(t.Context())
	require.ErrorIs(t, err, os.ErrPermission)
	require.NoError(t, syscall.Mkfifo(standby.file("pipe"), 0o666))
	require.NoError(t, os.Chmod(standby.file("pipe"), 0o666))
	standby.asks("host=x sslmode=verify-ca sslrootcert=" + standby.file("pipe"))
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	_, err = standby.AskPrimary(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	isRoot(t)
}

// notEncrypted is how the server says so.
func notEncrypted(s *server) string { return []string{", SSL off", ", no encryption"}[has(14, s)] }

func TestRealAskPrimaryForASlot(t *testing.T) {
	primary := newPrimary(t)
	primary.configure("max_slot_wal_keep_size = 16MB")
	primary.start()
	primary.sql("SELECT pg_create_physical_replication_slot('mine', true), pg_create_physical_replication_slot('fresh')")
	standby := newStandby(t, primary, "b")
	standby.configure("primary_slot_name = 'mine'")
	standby.start()
	primary.write()
	primary.waitStreaming("b")
	require.Contains(t, standby.askPrimary().Refusal, `replication slot "mine" is active for PID`)

	standby.noReceiver()
	slot := func(name string) {
		standby.configure("primary_slot_name = '" + name + "'")
		require.NoError(t, standby.Reload(t.Context()))
		standby.wait("the setting is in force", func() bool { return standby.sql("SHOW primary_slot_name") == name })
	}
	slot("nowhere")
	require.Contains(t, standby.askPrimary().Refusal, `replication slot "nowhere" does not exist`)

	slot("fresh")
	require.Equal(t, primary.sends(), standby.askPrimary())
	slot("mine")
	const state = "SELECT (slot_name, active, restart_lsn, wal_status) FROM pg_replication_slots ORDER BY 1"
	primary.wait("it is not in use", func() bool {
		return primary.sql("SELECT active FROM pg_replication_slots WHERE slot_name = 'mine'") == "f"
	})
	before := primary.sql("SELECT array_agg(s) FROM (" + state + ") s")
	require.Equal(t, primary.sends(), standby.askPrimary())
	primary.wait("given back as it was", func() bool { return primary.sql("SELECT array_agg(s) FROM ("+state+") s") == before })

	for range 4 {
		primary.write()
		primary.sql("SELECT pg_switch_wal(); CHECKPOINT")
	}
	u := standby.askPrimary()
	require.Regexp(t, "replication slot|has already been removed", u.Refusal)
	t.Log(u.Refusal)
}

func TestRealAskPrimaryOfAnotherSystem(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	other := newServer(t)
	require.NoError(t, tool("initdb", "-D", other.file("data"), "-A", "peer", "--no-sync", "--no-locale"))
	other.configure(other.basics()...)
	other.start()
	standby.asks("host=" + other.file("socket"))
	u := standby.askPrimary()
	require.True(t, u.Foreign)
	require.Contains(t, u.Refusal, "database system identifier differs between the primary and standby (the primary's is "+
		other.sql("SELECT system_identifier FROM pg_control_system()"))
	require.Nil(t, u.Divergence)
	require.Zero(t, u.End)
	require.Zero(t, u.Timeline)
}

func TestRealAskPrimaryThatIsDownOrHangs(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.waitStreaming("b")
	master := primary.processes().Postmaster
	signal(t, master, syscall.SIGSTOP)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := standby.AskPrimary(ctx)
	require.ErrorContains(t, err, "the server did not answer in time")
	signal(t, master, syscall.SIGCONT)
	primary.stop(Fast)
	_, err = standby.AskPrimary(t.Context())
	require.EqualError(t, err, primary.address()+": no server listens there")
}

// The question never counts as a synchronous standby.
func TestRealAskPrimaryReleasesNoCommit(t *testing.T) {
	primary := newPrimary(t).start()
	standby := newStandby(t, primary, "b").start()
	primary.write()
	primary.waitStreaming("b")
	standby.noReceiver()
	primary.configure("synchronous_standby_names = '*'")
	require.NoError(t, primary.Reload(t.Context()))
	primary.wait("the setting is in force", func() bool { return primary.status().SynchronousStandbyNames == "*" })
	writer := primary.open()
	committed := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		_, err := ask(ctx, writer, "INSERT INTO public.t VALUES (1)")
		committed <- err
	}()
	const hanging = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	primary.wait("the commit hangs", func() bool { return primary.sql(hanging) == "1" })
	for range 5 {
		require.Equal(t, primary.sends(), standby.askPrimary())
	}
	require.Equal(t, "1", primary.sql(hanging))
	cancel()
	<-committed
}

// certificate makes one for a name, signed by signer, or by itself without.
func certificate(t *testing.T, name string, signer *tls.Certificate) *tls.Certificate {
	t.Helper()
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: signer == nil, BasicConstraintsValid: true,
	}
	parent, signing := template, any(key)
	if signer != nil {
		parent, signing = must(x509.ParseCertificate(signer.Certificate[0])), signer.PrivateKey
	}
	return &tls.Certificate{Certificate: [][]byte{must(x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signing))}, PrivateKey: key}
}

// store writes it in PEM, for the system user.
func (s *server) store(c *tls.Certificate, certPath, keyPath string) {
	s.t.Helper()
	key := must(x509.MarshalPKCS8PrivateKey(c.PrivateKey))
	for path, block := range map[string]*pem.Block{
		certPath: {Type: "CERTIFICATE", Bytes: c.Certificate[0]}, keyPath: {Type: "PRIVATE KEY", Bytes: key},
	} {
		require.NoError(s.t, os.WriteFile(path, pem.EncodeToMemory(block), 0o600))
		s.own(path)
	}
}

func TestRealAskPrimaryOverTLS(t *testing.T) {
	ca, stranger := certificate(t, "ca", nil), certificate(t, "stranger", nil)
	primary := newPrimary(t)
	primary.store(certificate(t, "primary.test", ca), primary.data("server.crt"), primary.data("server.key"))
	primary.store(ca, primary.data("root.crt"), primary.file("ca.key"))
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := listener.Addr().(*net.TCPAddr).Port
	require.NoError(t, listener.Close())
	primary.configure("listen_addresses = '127.0.0.1'", fmt.Sprintf("port = %d", port), "ssl = on", "ssl_ca_file = 'root.crt'")
	primary.cfg.Port = port
	primary.plant("pg_hba.conf", "local all postgres peer\nlocal replication postgres peer\n"+
		"hostssl replication rep 127.0.0.1/32 cert\nhostssl replication postgres 127.0.0.1/32 trust\n")
	primary.start()
	primary.sql("CREATE ROLE rep LOGIN REPLICATION")
	standby := newServer(t)
	require.NoError(t, tool("pg_basebackup", "-D", standby.file("data"), "-h", primary.file("socket"), "-p", itoa(port), "-c", "fast", "-X", "stream"))
	standby.configure(append(standby.basics(), "port = 5432", "ssl = off", "listen_addresses = ''")...)
	require.NoError(t, standby.SetStandby(t.Context()))
	standby.start()
	standby.cfg.User.Home = standby.dir
	standby.store(ca, standby.file("ca.crt"), standby.file("ca.key"))
	standby.store(stranger, standby.file("other.crt"), standby.file("other.key"))
	standby.store(certificate(t, "rep", ca), standby.file("rep.crt"), standby.file("rep.key"))

	where := fmt.Sprintf("host=primary.test hostaddr=127.0.0.1 port=%d ", port)
	for conninfo, want := range map[string]string{
		"sslmode=prefer":                      "",
		"sslmode=require":                     "",
		"sslmode=disable":                     "no pg_hba.conf entry for replication connection from host \"127.0.0.1\", user \"postgres\"" + notEncrypted(standby),
		"sslmode=allow":                       "",
		"sslmode=verify-full sslrootcert=CA":  "",
		"sslmode=verify-ca sslrootcert=CA":    "",
		"sslmode=verify-ca sslrootcert=OTHER": "certificate signed by unknown authority",
		"sslmode=require sslrootcert=OTHER":   "certificate signed by unknown authority",
		"sslmode=require ssl_min_protocol_version=TLSv1.3 channel_binding=prefer": "",
		"user=rep sslmode=require":                        `connection requires a valid client certificate`,
		"user=rep sslmode=require sslcert=REP sslkey=KEY": "",
	} {
		standby.asks(where + strings.NewReplacer("OTHER", standby.file("other.crt"), "CA", standby.file("ca.crt"),
			"REP", standby.file("rep.crt"), "KEY", standby.file("rep.key")).Replace(conninfo))
		u, err := standby.AskPrimary(t.Context())
		if want == "" {
			require.NoError(t, err, conninfo)
			require.Empty(t, u.Refusal, conninfo)
		} else {
			require.Contains(t, fmt.Sprint(u.Refusal, err), want, conninfo)
		}
	}
	standby.asks(strings.Replace(where, "primary.test", "another.test", 1) + "sslmode=verify-full sslrootcert=" + standby.file("ca.crt"))
	_, err = standby.AskPrimary(t.Context())
	require.ErrorContains(t, err, "not another.test")

	// Certificates of the user's own.
	standby.asks(where + "user=rep sslmode=verify-full")
	_, err = standby.AskPrimary(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
	require.NoError(t, os.Mkdir(standby.file(".postgresql"), 0o700))
	standby.own(standby.file(".postgresql"))
	standby.store(ca, standby.file(".postgresql/root.crt"), standby.file("unused"))
	standby.store(certificate(t, "rep", ca), standby.file(".postgresql/postgresql.crt"), standby.file(".postgresql/postgresql.key"))
	require.Empty(t, standby.askPrimary().Refusal)
}
