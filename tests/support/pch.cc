// Has no content of its own: the headers that every test reads are compiled once, with this target.
int main() {}
