package command

// searchPath is for what the started programs start themselves.
const searchPath = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"

// environment builds a program's whole environment. Nothing is inherited: what
// the cluster manager's environment holds (PG*, LANG, LD_*, TZ) must change
// neither what a tool does nor the language it answers in.
func environment(u *User, extra []string) []string {
	env := []string{"LC_ALL=C", searchPath}
	if u != nil {
		env = append(env, "HOME="+u.Home, "USER="+u.Name, "LOGNAME="+u.Name)
	} else {
		env = append(env, "HOME=/")
	}
	return append(env, extra...)
}
