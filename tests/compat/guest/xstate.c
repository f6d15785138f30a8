/*
 * Preloaded into User-mode Linux 6.1, which keeps too little room for the registers of processors
 * with AMX: it sets back as much of a process's extended state as it holds, and the kernel takes
 * nothing but the whole ("Couldn't restore FP registers", and the guest's first process dies).
 * What is missing is filled up with what the process has. Nothing changes on other processors.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/types.h>
#include <sys/uio.h>

typedef long (*ptrace_call)(int, pid_t, void*, void*);

static long real_ptrace(int request, pid_t pid, void* address, void* data) {
    static ptrace_call next;
    if (!next) next = (ptrace_call)dlsym(RTLD_NEXT, "ptrace");
    return next(request, pid, address, data);
}

long ptrace(enum __ptrace_request request, ...) {
    va_list given;
    va_start(given, request);
    pid_t pid = va_arg(given, pid_t);
    void* address = va_arg(given, void*);
    void* data = va_arg(given, void*);
    va_end(given);

    long done = real_ptrace((int)request, pid, address, data);
    if (done == 0 || request != PTRACE_SETREGSET || address != (void*)NT_X86_XSTATE) return done;

    static char whole[64 * 1024];
    const struct iovec* wanted = data;
    struct iovec all = {whole, sizeof whole};
    if (real_ptrace(PTRACE_GETREGSET, pid, address, &all) != 0 || all.iov_len < wanted->iov_len)
        return -1;
    memcpy(whole, wanted->iov_base, wanted->iov_len);
    return real_ptrace(PTRACE_SETREGSET, pid, address, &all);
}
