"""ccci on the host itself: what keeps providers up, sends alerts and clears up while nobody watches."""
