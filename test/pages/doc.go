// Package pages tries the pages that tell a person what to type: quick starts and cookbook. What is run is the page's own
// text, so that the two cannot drift apart.
//
// An HTML comment in front of an indented block says where the block is run, and comments after it what has to come of
// it. Nobody who reads the page sees them:
//
//	<!-- on n1 n2 -->                  the block is run there as root, on one after the other, by sh -e
//	<!-- on n1, exit 1 -->             and ends with this code
//	<!-- on n1, asking -->             and changes nothing: it is asked again until it ends well, or the bound is over
//	<!-- on n1, typing secret\n -->    and is given this as its standard input
//	<!-- shows some text -->           the last block's output had this in it
//	<!-- until ready; primary n2 -->   what is waited for: see states in lab_test.go
//	<!-- fault cut n1 -->              what befalls the cluster: see faults in lab_test.go
//	<!-- copy n1 /some/file n2 n3 -->  stands for scp, as the lab has no sshd
//
// A block without a comment is not run. "make check" reads the pages, and looks where their links lead.
package pages
