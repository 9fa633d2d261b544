package lab

func sandboxMain() (int, error) { return 0, nil }
