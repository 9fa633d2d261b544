package metadata

import "slices"

// The names of the parameters. Code that reads one uses these, so that a wrong name does not compile.
const (
	SystemUser       = "system_user"
	BinDir           = "bindir"
	PGData           = "pgdata"
	DataDir          = "datadir"
	PGHost           = "pghost"
	PGPort           = "pgport"
	RecoveryTemplate = "recovery_template"
	StartOpts        = "start_opts"
	MaxLag           = "maxlag"
	SyncGuard        = "sync_guard"
)

// Parameters returns the agent's parameters in the order in which they are shown.
func Parameters() []Parameter { return slices.Clone(parameters) }

// Names, types and defaults are those of PAF, so that an existing resource keeps its meaning; sync_guard is new.
var parameters = []Parameter{
	{
		Name: SystemUser, Type: TypeString, Default: "postgres",
		Short: "Operating system user that owns the instance",
		Long: `The user that owns the data directory. Every PostgreSQL program is run as this user, files below the data ` +
			`directory are read and written as this user, and the agent connects to the database as this user. ` +
			`A database role of the same name with superuser rights has to exist.`,
	},
	{
		Name: BinDir, Type: TypeString, Default: "/usr/bin",
		Short: "Directory of the PostgreSQL programs",
		Long: `Directory in which pg_ctl, postgres and pg_controldata are found, ` +
			`for example /usr/lib/postgresql/15/bin on Debian or /usr/pgsql-15/bin with the packages of the PGDG.`,
	},
	{
		Name: PGData, Type: TypeString, Default: "/var/lib/pgsql/data", Unique: true,
		Short: "Data directory, or directory of postgresql.conf",
		Long: `The directory that is given to pg_ctl with -D: the data directory, or, where the configuration is kept ` +
			`apart from the data, the directory of postgresql.conf. In that case set datadir as well.`,
	},
	{
		Name: DataDir, Type: TypeString, DefaultFrom: "the value of `pgdata`", Unique: true,
		Short: "Data directory, if postgresql.conf is kept elsewhere",
		Long: `The value of data_directory in postgresql.conf. ` +
			`Needed only where postgresql.conf lies outside the data directory; otherwise leave it unset, ` +
			`and the value of pgdata is taken.`,
	},
	{
		Name: PGHost, Type: TypeString, Default: "/tmp",
		Short: "Socket directory or host name to connect to",
		Long: `Where the agent reaches its own instance: the directory of its unix socket, or a host name or address ` +
			`of this node at which it listens itself: what answers for another instance, a virtual IP on another node ` +
			`or a connection pooler is not believed. The packages of Debian and of the PGDG place the socket in /var/run/postgresql.`,
	},
	{
		Name: PGPort, Type: TypeInteger, Default: "5432",
		Short: "Port of the instance",
		Long:  `The port the instance listens on. The name of its unix socket contains it as well.`,
	},
	{
		Name: MaxLag, Type: TypeInteger, Default: "0",
		Short: "Lag in bytes beyond which a standby is not promoted",
		Long: `A standby that has written less of the WAL than the primary, by more than this number of bytes, ` +
			`gets a negative promotion score and is not promoted. When the primary is lost and the best standby was not ` +
			`within the limit, or not connected, none is promoted before the parameter is set to 0, or that standby's score is gone, ` +
			`as after a restart of its Pacemaker; unless the votes prove that nothing acknowledged is missing, or the primary was shut ` +
			`down and the standby holds all that it wrote. 0 sets no limit.`,
	},
	{
		Name: SyncGuard, Type: TypeBoolean, Default: "true",
		Short: "Promote only where every acknowledged commit is known to be",
		Long: `With synchronous replication a commit is acknowledged when it is on the primary and on as many standbys as ` +
			`synchronous_standby_names asks for. When the primary is lost, no standby is promoted before so many nodes ` +
			`have voted that each such commit is on one of them; until then the promotion waits, says for whom, ` +
			`and goes on by itself when that node is back. ` +
			`With false the best of those that are there is promoted at once, and acknowledged commits may be lost. ` +
			`Without synchronous replication the parameter has no effect.`,
	},
	{
		Name: RecoveryTemplate, Type: TypeString, DefaultFrom: "`recovery.conf.pcmk` in the directory `pgdata`",
		Unique: true,
		Short:  "Template of recovery.conf, refused where it exists",
		Long: `PAF copies this local file to recovery.conf with PostgreSQL 11 and older, which this agent does not run. ` +
			`Unset, it is recovery.conf.pcmk in the directory pgdata. ` +
			`From PostgreSQL 12 on recovery is configured in postgresql.conf, and the agent refuses to start ` +
			`while the file exists.`,
	},
	{
		Name: StartOpts, Type: TypeString,
		Short: "Additional options of the postgres program",
		Long: `Options given to postgres when it is started. Debian, which keeps the configuration apart from the data, ` +
			`needs for example: -c config_file=/etc/postgresql/15/main/postgresql.conf. ` +
			`A change takes effect at the next start of the instance.`,
	},
}
