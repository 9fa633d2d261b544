package agent

import "pgsqlms/internal/ocf"

// What the agent refuses, and why. The reference page is made from this table.
var (
	reasonNoAction = ocf.Reason{
		Name: "unknown-action", Code: ocf.ErrUnimplemented,
		Text: "unknown action %q, expected one of %s",
		Help: "pgsqlms --help lists the commands for a person; the actions are Pacemaker's to call",
	}
	reasonUser = ocf.Reason{
		Name: "system-user", Code: ocf.ErrInstalled,
		Text: "parameter system_user: no user %q on this node",
		Help: "create the user, or set system_user to the owner of the data directory",
	}
	reasonPort = ocf.Reason{
		Name: "pgport", Code: ocf.ErrConfigured,
		Text: "parameter pgport: found %q, expected a number from 1 to 65535",
		Help: "set pgport to the port PostgreSQL listens on",
	}
	reasonMaxLag = ocf.Reason{
		Name: "maxlag", Code: ocf.ErrConfigured,
		Text: "parameter maxlag: found %q, expected a whole number of bytes, 0 for no limit",
		Help: "set maxlag to a plain number of bytes, without a unit",
	}
	reasonSyncGuard = ocf.Reason{
		Name: "sync-guard", Code: ocf.ErrConfigured,
		Text: "parameter sync_guard: found %q, expected true or false",
		Help: "set sync_guard to true, or leave it out",
	}
	reasonPath = ocf.Reason{
		Name: "path", Code: ocf.ErrArgs,
		Text: "parameter %s: found %q, expected an absolute path",
		Help: "give the whole path, beginning with a slash",
	}
	reasonNotify = ocf.Reason{
		Name: "notify", Code: ocf.ErrConfigured,
		Text: "meta attribute notify of the clone: found %q, expected true",
		Help: "set it: pcs resource meta CLONE notify=true, or crm resource meta CLONE set notify true",
	}
	reasonPromotedMax = ocf.Reason{
		Name: "promoted-max", Code: ocf.ErrConfigured,
		Text: "meta attribute promoted-max of the clone: found %q, expected 1",
		Help: "set promoted-max to 1, or leave it out: there is one primary",
	}
	reasonClone = ocf.Reason{
		Name: "clone", Code: ocf.ErrConfigured,
		Text: "the resource %q is not a promotable clone",
		Help: "wrap it in one: pcs resource promotable RESOURCE and pcs resource meta RESOURCE-clone notify=true, or " +
			"crm configure clone RESOURCE-clone RESOURCE meta promotable=true notify=true; then crm_resource --cleanup -r RESOURCE",
	}
	reasonCloneNodeMax = ocf.Reason{
		Name: "clone-node-max", Code: ocf.ErrConfigured,
		Text: "meta attribute clone-node-max of the clone: found %q, expected 1",
		Help: "set clone-node-max to 1, or leave it out: one instance a node",
	}
	reasonUnique = ocf.Reason{
		Name: "globally-unique", Code: ocf.ErrConfigured,
		Text: "meta attribute globally-unique of the clone: found %q, expected false",
		Help: "set globally-unique to false, or leave it out: the nodes tell the instances apart",
	}
	reasonFeatureSet = ocf.Reason{
		Name: "feature-set", Code: ocf.ErrInstalled,
		Text: "crm_feature_set: found %q, expected a version above 3.0.9 (Pacemaker 1.1.13)",
		Help: "run the agent from Pacemaker 1.1.13 or newer",
	}
	reasonBinaries = ocf.Reason{
		Name: "binaries", Code: ocf.ErrInstalled,
		Text: "parameter bindir: PostgreSQL's programs in %s cannot be used",
		Help: "install PostgreSQL's server on this node, and set bindir to the directory of pg_ctl",
	}
	reasonVersion = ocf.Reason{
		Name: "version", Code: ocf.ErrInstalled,
		Text: "PostgreSQL in %s does not fit the data in %s",
		Help: "set bindir to the programs of the data's major version, or upgrade the data with pg_upgrade",
	}
	reasonDataDir = ocf.Reason{
		Name: "data-directory", Code: ocf.ErrArgs,
		Text: "the data directory cannot be used",
		Help: "set pgdata (and datadir, when data_directory differs) to the directory that holds PG_VERSION",
	}
	reasonDataDirSetting = ocf.Reason{
		Name: "data-directory-setting", Code: ocf.ErrArgs,
		Text: "data_directory in PostgreSQL's configuration is %q, expected %q, as parameter datadir or pgdata says",
		Help: "set datadir to that directory, and pgdata to the one of postgresql.conf, or mend data_directory",
	}
	reasonDataDirPerm = ocf.Reason{
		Name: "data-directory-permissions", Code: ocf.ErrPerm,
		Text: "the data directory has the wrong owner or mode",
		Help: "chown it to system_user and chmod it to 0700 or 0750, as PostgreSQL itself demands",
	}
	reasonRejoin = ocf.Reason{
		Name: "rejoin-unfinished", Code: ocf.ErrArgs,
		Text: "a rejoin of %s is under way, or was broken off: there is %s",
		Help: "run pgsqlms rejoin on this node, which begins anew; do not start PostgreSQL by hand",
	}
	reasonPidFile = ocf.Reason{
		Name: "postmaster-pid", Code: ocf.ErrArgs,
		Text: "%s is not a regular file, expected one or none",
		Help: "remove it: PostgreSQL would not start, or wait for it for ever",
	}
	reasonControl = ocf.Reason{
		Name: "pg-control", Code: ocf.ErrArgs,
		Text: "global/pg_control of %s cannot be believed",
		Help: "restore the instance from a backup or clone it anew from the primary",
	}
	reasonTemplate = ocf.Reason{
		Name: "recovery-template", Code: ocf.ErrArgs,
		Text: "parameter recovery_template: %s exists, and PostgreSQL %d does not know recovery.conf",
		Help: "remove the file and put its settings into postgresql.conf",
	}
	reasonSettings = ocf.Reason{
		Name: "settings", Code: ocf.ErrArgs,
		Text: "PostgreSQL's settings cannot be read with postgres -C from %s",
		Help: "run the command as system_user and mend what it reports",
	}
	reasonAppName = ocf.Reason{
		Name: "application-name", Code: ocf.ErrArgs,
		Text: "primary_conninfo has application_name %q, expected this node's name in the cluster, %q",
		Help: "set application_name in primary_conninfo to what crm_node -n prints on this node",
	}
	reasonTimeline = ocf.Reason{
		Name: "recovery-target-timeline", Code: ocf.ErrArgs,
		Text: "recovery_target_timeline is %q, expected latest",
		Help: "set recovery_target_timeline to latest, or a standby cannot follow a promotion",
	}
	reasonTarget = ocf.Reason{
		Name: "recovery-target", Code: ocf.ErrArgs,
		Text: "%s is set to %q, expected it not to be set",
		Help: "remove the recovery target: a standby must replay all it receives",
	}
	reasonHotStandby = ocf.Reason{
		Name: "hot-standby", Code: ocf.ErrArgs,
		Text: "hot_standby is %q, expected on",
		Help: "set hot_standby to on: the agent asks a standby for its position by SQL",
	}
	reasonWALLevel = ocf.Reason{
		Name: "wal-level", Code: ocf.ErrArgs,
		Text: "wal_level is %q, expected replica or logical",
		Help: "set wal_level to replica: minimal cannot be streamed",
	}
	reasonLate = ocf.Reason{
		Name: "late", Code: ocf.ErrGeneric,
		Text: "the configuration could not be checked within %s",
		Help: "look for a loaded machine or storage that hangs; raise the timeout of the operation where it is slow for good",
	}
	reasonUnchecked = ocf.Reason{
		Name: "unchecked", Code: ocf.ErrGeneric,
		Text: "the configuration could not be checked",
		Help: "look in the kernel's log for a machine without memory or processes to spare, and at the name service for a user it should know; then crm_resource --cleanup -r RESOURCE --node NODE",
	}
	reasonStandbySignal = ocf.Reason{
		Name: "standby-signal", Code: ocf.ErrPerm,
		Text: "the instance cannot be set up as a standby",
		Help: "look at what stands in the way of standby.signal in the data directory",
	}
	reasonStart = ocf.Reason{
		Name: "start", Code: ocf.ErrGeneric,
		Text: "PostgreSQL did not start as a standby from %s",
		Help: "read PostgreSQL's own log; the first messages of a start are in the file the reason names",
	}
	reasonStartPrimary = ocf.Reason{
		Name: "start-on-primary", Code: ocf.ErrGeneric,
		Text: "the instance in %s already runs, as a primary, expected it to be stopped or a standby",
		Help: "demote it, or let Pacemaker find it: crm_resource --refresh",
	}
	reasonStartPromoting = ocf.Reason{
		Name: "start-on-promoting", Code: ocf.ErrGeneric,
		Text: "the instance in %s already runs, and is being promoted, expected it to be stopped, or a standby",
		Help: "demote it, or let Pacemaker find it: crm_resource --refresh",
	}
	reasonStop = ocf.Reason{
		Name: "stop", Code: ocf.ErrGeneric,
		Text: "the instance in %s is not down: %s",
		Help: "look at the processes named, and end them; Pacemaker fences the node otherwise",
	}
	reasonDemoteState = ocf.Reason{
		Name: "demote-state", Code: ocf.ErrGeneric,
		Text: "after the demotion's shut-down pg_control says %q, expected %q",
		Help: "read PostgreSQL's log for what disturbed the shut-down",
	}
	reasonOrphans = ocf.Reason{
		Name: "orphans", Code: ocf.ErrGeneric,
		Text: "the postmaster of %s is gone, but this is left of it: %s",
		Help: "the agent's stop ends them; without Pacemaker, end the processes named",
	}
	reasonOrphansPromoted = ocf.Reason{
		Name: "orphans-primary", Code: ocf.FailedPromoted,
		Text: "the postmaster of the primary in %s is gone, but this is left of it: %s",
		Help: "the agent's stop ends them; without Pacemaker, end the processes named",
	}
	reasonCrashedPrimary = ocf.Reason{
		Name: "crashed-primary", Code: ocf.FailedPromoted,
		Text: "the primary in %s is gone and was not shut down: pg_control says %q",
		Help: "Pacemaker recovers it; read PostgreSQL's log for the cause",
	}
	reasonCrashedStandby = ocf.Reason{
		Name: "crashed-standby", Code: ocf.ErrGeneric,
		Text: "the standby in %s is gone and was not shut down: pg_control says %q",
		Help: "Pacemaker recovers it; read PostgreSQL's log for the cause",
	}
	reasonUnreachable = ocf.Reason{
		Name: "unreachable", Code: ocf.ErrGeneric,
		Text: "PostgreSQL runs (postmaster %d), but not where pghost and pgport say, %s",
		Help: "set pghost to unix_socket_directories or a listen_addresses of the instance, and pgport to its port",
	}
	reasonHung = ocf.Reason{
		Name: "hung", Code: ocf.ErrGeneric,
		Text: "PostgreSQL does not answer (postmaster %d, %s)",
		Help: "Pacemaker recovers it; look for a stopped process, a full disk, or storage that hangs",
	}
	reasonStarting = ocf.Reason{
		Name: "starting", Code: ocf.ErrGeneric,
		Text: "PostgreSQL (postmaster %d) still refuses connections after %s",
		Help: "crash recovery takes longer than the timeout: raise the timeout of the operation",
	}
	reasonState = ocf.Reason{
		Name: "state", Code: ocf.ErrGeneric,
		Text: "PostgreSQL (postmaster %d) cannot be asked for its role, and pg_control says %q",
		Help: "look at PostgreSQL's log",
	}
	reasonOverdue = ocf.Reason{
		Name: "overdue", Code: ocf.ErrGeneric,
		Text: "%s got no answer from the operating system and is given up, at the end of its %s",
		Help: "look for storage that hangs, in the kernel's log and with ps for processes in state D",
	}
	reasonInternal = ocf.Reason{
		Name: "internal-error", Code: ocf.ErrGeneric,
		Text: "an error in the agent itself: %v",
		Help: "report it, with the stack from the log; the instance may be well",
	}
	reasonNotRunning = ocf.Reason{
		Name: "not-running", Code: ocf.NotRunning,
		Text: "the instance in %s does not run, expected a running standby to %s",
		Help: "let Pacemaker start it: crm_resource --cleanup -r RESOURCE --node NODE; or, by hand, crm_resource --force-start -r RESOURCE on this node",
	}
	reasonAsk = ocf.Reason{
		Name: "ask", Code: ocf.ErrGeneric,
		Text: "the instance in %s cannot be asked for its state",
		Help: "look at PostgreSQL's log",
	}
	reasonNotifyLists = ocf.Reason{
		Name: "notify-lists", Code: ocf.ErrGeneric,
		Text: "Pacemaker's list of nodes cannot be used, so nobody can be asked for a vote",
		Help: "look at the names of the cluster's nodes",
	}
	reasonUntold = ocf.Reason{
		Name: "promote-notify", Code: ocf.ErrGeneric,
		Text: "Pacemaker does not tell who could vote: meta attribute notify of the clone is %q, expected true",
		Help: "set it: pcs resource meta CLONE notify=true, or crm resource meta CLONE set notify true; a standby's monitor then finds out who is to be promoted",
	}
	reasonByHand = ocf.Reason{
		Name: "promote-by-hand", Code: ocf.ErrGeneric,
		Text: "the standby in %s receives WAL from a primary, so a promotion by hand would make a second one",
		Help: "move the role instead: crm_resource --move -r CLONE --promoted --node NODE",
	}
	reasonOwnVote = ocf.Reason{
		Name: "own-vote", Code: ocf.ErrGeneric,
		Text: "this node cannot tell how much WAL it holds",
		Help: "look at PostgreSQL's log and at pacemaker-based on this node; no node has a promotion score until a standby's monitor finds the votes and nominates one",
	}
	reasonVotes = ocf.Reason{
		Name: "votes", Code: ocf.ErrGeneric,
		Text: "the other nodes cannot be asked for the WAL they hold",
		Help: "look at pacemaker-attrd on this node; Pacemaker tries the promotion again",
	}
	reasonBetter = ocf.Reason{
		Name: "better-candidate", Code: ocf.ErrGeneric,
		Text: "%s holds more WAL (%s) than this node (%s): promoting it instead",
		Help: "nothing to do: Pacemaker promotes the other node next; if a rule keeps that one from being promoted (pgsqlms status), " +
			"remove the rule, or stop that instance to give up what it alone holds",
	}
	reasonAwaits = ocf.Reason{
		Name: "awaits-votes", Code: ocf.ErrGeneric,
		Text: "not promoted: %s",
		Help: "start that node, the promotion then goes on by itself; if it is lost for good, and what only it held may be lost: " +
			"crm_resource -r RESOURCE -p sync_guard -v false, and back to true as soon as there is a primary",
	}
	reasonStranger = ocf.Reason{
		Name: "not-the-clusters", Code: ocf.ErrGeneric,
		Text: "the instance in %s is a primary on timeline %d that the cluster did not begin: its last promotion was of %s, to timeline %d",
		Help: "nothing, if it was promoted by mistake: Pacemaker stops it and promotes another node",
	}
	reasonNoLineage = ocf.Reason{
		Name: "no-lineage", Code: ocf.ErrGeneric,
		Text: "not promoted: %s",
		Help: "if the data were restored on purpose, forget the old timelines: crm_attribute --type crm_config --name pgsqlms-RESOURCE --delete",
	}
	reasonDiverged = ocf.Reason{
		Name: "diverged", Code: ocf.ErrGeneric,
		Text: "diverged: left timeline %d at %s, %d bytes of WAL beyond it are not the primary's, in %s",
		Help: "run pgsqlms rejoin on this node",
	}
	reasonAstray = ocf.Reason{
		Name: "astray", Code: ocf.ErrGeneric,
		Text: "this standby waits for timeline %d, which the primary's timeline %d does not descend from, and follows after another start, in %s",
		Help: "nothing to do: Pacemaker stops and starts the instance; crm_resource --cleanup -r RESOURCE --node NODE takes the failed monitor from the list",
	}
	reasonSwitchover = ocf.Reason{
		Name: "switchover-cancelled", Code: ocf.ErrGeneric,
		Text: "switchover cancelled: this node has WAL up to %s, the old primary %s wrote up to %s",
		Help: "nothing was lost: the old primary takes its role back; find out why this node does not receive WAL before you try again, and crm_resource --cleanup -r RESOURCE --node NODE",
	}
	reasonNoEvidence = ocf.Reason{
		Name: "switchover-unproved", Code: ocf.ErrGeneric,
		Text: "switchover cancelled: the old primary %s did not say where its WAL ends within %s, and the WAL of this node, up to %s, does not end with a shutdown checkpoint",
		Help: "look at the log of the old primary's demotion and at attrd on both nodes",
	}
	reasonRecord = ocf.Reason{
		Name: "record", Code: ocf.ErrGeneric,
		Text: "the promotion cannot be noted in the cluster's configuration",
		Help: "look at pacemaker-based on this node; Pacemaker tries the promotion again",
	}
	reasonSyncNames = ocf.Reason{
		Name: "synchronous-standby-names", Code: ocf.ErrGeneric,
		Text: "not promoted: synchronous_standby_names of %s is not understood, and a later election could not tell whose vote it needs",
		Help: "write the setting in a simpler form on every node and reload; or crm_resource -r RESOURCE -p sync_guard -v false, and back to true as soon as there is a primary",
	}
	reasonPromote = ocf.Reason{
		Name: "promote", Code: ocf.ErrGeneric,
		Text: "the instance in %s was told to promote and does not accept writes yet",
		Help: "read PostgreSQL's log",
	}
	reasonReload = ocf.Reason{
		Name: "reload", Code: ocf.ErrGeneric,
		Text: "the instance in %s could not be told to reload",
		Help: "read PostgreSQL's log",
	}
	reasonTools = ocf.Reason{
		Name: "cluster-tools", Code: ocf.ErrInstalled,
		Text: "Pacemaker's tools cannot be used on this node",
		Help: "install pacemaker-cli-utils (pacemaker-cli), and check that crm_node -n works",
	}
	reasonSignalFile = ocf.Reason{
		Name: "standby-signal-file", Code: ocf.ErrArgs,
		Text: "the instance cannot be set up as a standby",
		Help: "remove what stands in the place of standby.signal in the data directory",
	}
)

// Reasons is all of the above, in the order of the file, for the reference page.
func Reasons() []ocf.Reason {
	return []ocf.Reason{
		reasonNoAction,
		reasonUser,
		reasonPort,
		reasonMaxLag,
		reasonSyncGuard,
		reasonPath,
		reasonNotify,
		reasonPromotedMax,
		reasonClone,
		reasonCloneNodeMax,
		reasonUnique,
		reasonFeatureSet,
		reasonBinaries,
		reasonVersion,
		reasonRejoin,
		reasonDataDir,
		reasonDataDirSetting,
		reasonDataDirPerm,
		reasonPidFile,
		reasonControl,
		reasonTemplate,
		reasonSettings,
		reasonAppName,
		reasonTimeline,
		reasonTarget,
		reasonHotStandby,
		reasonWALLevel,
		reasonLate,
		reasonUnchecked,
		reasonStandbySignal,
		reasonStart,
		reasonStartPrimary,
		reasonStartPromoting,
		reasonStop,
		reasonDemoteState,
		reasonOrphans,
		reasonOrphansPromoted,
		reasonCrashedPrimary,
		reasonCrashedStandby,
		reasonUnreachable,
		reasonHung,
		reasonStarting,
		reasonState,
		reasonOverdue,
		reasonInternal,
		reasonNotRunning,
		reasonAsk,
		reasonNotifyLists,
		reasonUntold,
		reasonByHand,
		reasonOwnVote,
		reasonVotes,
		reasonBetter,
		reasonAwaits,
		reasonStranger,
		reasonNoLineage,
		reasonDiverged,
		reasonAstray,
		reasonSwitchover,
		reasonNoEvidence,
		reasonRecord,
		reasonSyncNames,
		reasonPromote,
		reasonReload,
		reasonTools,
		reasonSignalFile,
	}
}
