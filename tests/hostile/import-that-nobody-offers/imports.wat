(import "evil:host/backdoor@1.0.0" "open" (func $open))
