/* What a process may do where it stands: tries, and prints a line for each try, `WHAT: done` or the error's name.
 *
 *   probe            in place of a daemon's program, with whatever arguments that is started with
 *
 * Linked statically and without a library beyond libc, so that it starts where nothing but itself can be executed. Each
 * try is a process of its own: one that is killed says so by its signal. What is tried harms nothing where it succeeds,
 * beyond the throw-away machine that it is for. scenarios/confinement.sh says what must come of each. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <linux/vm_sockets.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The state or runtime directory of the daemon that it stands for, found by looking. */
static char own_directory[4096];

/* ------------------------------------------------------------------ files, all of them ------------------------------ */

static int skipped(const char *path) {
  return strcmp(path, "/proc") == 0 || strcmp(path, "/sys") == 0;
}

static void try_directory(const char *path) {
  char name[4200];
  snprintf(name, sizeof name, "%s/.probe-%d", strcmp(path, "/") == 0 ? "" : path, getpid());
  int file = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (file < 0) return;
  close(file);
  unlink(name);
  printf("directory-writable: %s\n", path);
  if ((strncmp(path, "/var/lib/chancel-", 17) == 0 || strncmp(path, "/run/chancel-", 13) == 0) && !own_directory[0]) {
    snprintf(own_directory, sizeof own_directory, "%s", path);
  }
}

static int visit(const char *path, const struct stat *status, int kind, struct FTW *where) {
  (void)where;
  if (kind == FTW_D) {
    if (skipped(path)) return FTW_SKIP_SUBTREE;
    try_directory(path);
  } else if (kind == FTW_F) {
    if (S_ISREG(status->st_mode)) {
      /* Opened and not written: what can be opened for it could be. */
      int file = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
      if (file >= 0) {
        printf("file-writable: %s\n", path);
        close(file);
      }
      if ((status->st_mode & 0111) && access(path, X_OK) == 0) printf("file-executable: %s\n", path);
    } else if (S_ISBLK(status->st_mode) || S_ISCHR(status->st_mode)) {
      printf("device: %s\n", path);
    }
  }
  return FTW_CONTINUE;
}

/* ------------------------------------------------------------------ one try each ------------------------------------ */

/* What it returns is what came of it: 0, or an error's number. */
typedef int try_fn(const char *argument);

static void attempt(const char *what, const char *argument, try_fn *function) {
  printf("%s%s%s: ", what, argument ? "-" : "", argument ? argument : "");
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) _exit(function(argument) & 0xff);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) {
    printf("cannot be tried\n");
  } else if (WIFSIGNALED(status)) {
    printf("SIG%s\n", sigabbrev_np(WTERMSIG(status)));
  } else if (WEXITSTATUS(status) == 0) {
    printf("done\n");
  } else {
    const char *name = strerrorname_np(WEXITSTATUS(status));
    printf("%s\n", name ? name : "?");
  }
}

static int outcome(long result) { return result < 0 ? errno : 0; }

static int reads(const char *path) {
  char byte;
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  return file < 0 ? errno : outcome(read(file, &byte, 1));
}

static int opens_to_write(const char *path) {
  int file = open(path, O_WRONLY | O_CLOEXEC);
  return outcome(file);
}

static int opens_socket(const char *which) {
  static const struct { const char *name; int family, type, protocol; } known[] = {
      {"unix", AF_UNIX, SOCK_STREAM, 0},       {"inet", AF_INET, SOCK_STREAM, 0},
      {"inet-udp", AF_INET, SOCK_DGRAM, 0},    {"inet6", AF_INET6, SOCK_STREAM, 0},
      {"netlink", AF_NETLINK, SOCK_RAW, 0},    {"vsock", AF_VSOCK, SOCK_STREAM, 0},
      {"packet", AF_PACKET, SOCK_RAW, 0},      {"inet-raw", AF_INET, SOCK_RAW, 1 /* ICMP */},
      {"alg", AF_ALG, SOCK_SEQPACKET, 0},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    if (strcmp(known[i].name, which) == 0) return outcome(socket(known[i].family, known[i].type, known[i].protocol));
  }
  return EINVAL;
}

/* Whether the exec itself succeeded: the pipe closes by it, or brings the error. */
static int starts(int directory, const char *path, int flags) {
  int ends[2], error = 0;
  char *const arguments[] = {(char *)"probe", (char *)"--nothing", NULL}, *const environment[] = {NULL};
  if (pipe2(ends, O_CLOEXEC) < 0) return errno;
  pid_t child = fork();
  if (child == 0) {
    close(0);
    open("/dev/null", O_RDONLY);
    int nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, 1);
    dup2(nowhere, 2);
    syscall(SYS_execveat, directory, path, arguments, environment, flags);
    error = errno;
    (void)!write(ends[1], &error, sizeof error);
    _exit(1);
  }
  close(ends[1]);
  if (read(ends[0], &error, sizeof error) <= 0) error = 0;
  waitpid(child, NULL, 0);
  return error;
}

static int starts_path(const char *path) { return starts(AT_FDCWD, path, 0); }

static int copy_itself(int to) {
  char buffer[65536];
  ssize_t count;
  int from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
  if (from < 0) return errno;
  while ((count = read(from, buffer, sizeof buffer)) > 0) {
    if (write(to, buffer, count) != count) return errno;
  }
  close(from);
  return outcome(count);
}

static int starts_what_it_wrote(const char *directory) {
  char name[4200];
  if (strcmp(directory, "own") == 0) directory = own_directory;
  if (!*directory) return ENOENT;
  snprintf(name, sizeof name, "%s/.probe-program-%d", directory, getpid());
  int file = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0700);
  if (file < 0) return errno;
  int result = copy_itself(file);
  close(file);
  if (result == 0) result = starts_path(name);
  unlink(name);
  return result;
}

static int starts_from_memory(const char *unused) {
  (void)unused;
  int file = syscall(SYS_memfd_create, "probe", 1u /* MFD_CLOEXEC */);
  if (file < 0) return errno;
  int result = copy_itself(file);
  return result ? result : starts(file, "", AT_EMPTY_PATH);
}

static int maps_writable_and_executable(const char *unused) {
  (void)unused;
  void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return place == MAP_FAILED ? errno : 0;
}

static int makes_executable_what_it_wrote(const char *unused) {
  (void)unused;
  void *place = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (place == MAP_FAILED) return errno;
  memset(place, 0xc3, 4096);
  return outcome(mprotect(place, 4096, PROT_READ | PROT_EXEC));
}

static int maps_shared_memory_executable(const char *unused) {
  (void)unused;
  int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);
  if (id < 0) return errno;
  void *place = shmat(id, NULL, SHM_EXEC);
  int result = place == (void *)-1 ? errno : 0;
  shmctl(id, IPC_RMID, NULL);
  return result;
}

static int traces_first_process(const char *unused) {
  (void)unused;
  return outcome(ptrace(PTRACE_SEIZE, 1, NULL, NULL));
}

static int traces_itself(const char *unused) {
  (void)unused;
  return outcome(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int reads_memory_of_first_process(const char *unused) {
  (void)unused;
  char byte;
  struct iovec local = {&byte, 1}, remote = {(void *)16, 1};
  /* Who may look is asked before what there is to see. */
  int result = outcome(process_vm_readv(1, &local, 1, &remote, 1, 0));
  return result == EFAULT ? 0 : result;
}

static int unshares(const char *which) {
  int flag = strcmp(which, "user") == 0 ? CLONE_NEWUSER
           : strcmp(which, "mount") == 0 ? CLONE_NEWNS
           : strcmp(which, "network") == 0 ? CLONE_NEWNET
           : CLONE_NEWPID;
  return outcome(unshare(flag));
}

static int clones_into_user_namespace(const char *unused) {
  (void)unused;
  long child = syscall(SYS_clone, (long)(CLONE_NEWUSER | SIGCHLD), 0L, 0L, 0L, 0L);
  if (child == 0) _exit(0);
  return outcome(child);
}

static int mounts(const char *unused) {
  (void)unused;
  return outcome(mount("none", "/mnt", "tmpfs", 0, NULL));
}

static int unmounts(const char *path) { return outcome(umount2(path, MNT_DETACH)); }

static int remounts(const char *path) { return outcome(mount(NULL, path, NULL, MS_REMOUNT | MS_BIND, NULL)); }

static int changes_root(const char *unused) {
  (void)unused;
  return outcome(chroot("/"));
}

static int loads_kernel(const char *unused) {
  (void)unused;
  return outcome(syscall(SYS_kexec_load, 0L, 0L, NULL, 0L));
}

static int loads_module(const char *unused) {
  (void)unused;
  return outcome(syscall(SYS_init_module, "", 0L, ""));
}

static int reboots(const char *unused) {
  (void)unused;
  /* Only what Ctrl-Alt-Del means. */
  return outcome(syscall(SYS_reboot, 0xfee1deadL, 672274793L, 0L, NULL));
}

static int becomes_root(const char *unused) {
  (void)unused;
  return outcome(setresuid(0, 0, 0));
}

static int becomes_another_group(const char *unused) {
  (void)unused;
  gid_t group = 0;
  return outcome(setgroups(1, &group));
}

static int makes_setuid_file(const char *unused) {
  (void)unused;
  char name[4200];
  if (!own_directory[0]) return ENOENT;
  snprintf(name, sizeof name, "%s/.probe-setuid", own_directory);
  int file = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0700);
  if (file < 0) return errno;
  int result = outcome(fchmod(file, 04755));
  unlink(name);
  return result;
}

static int makes_device(const char *unused) {
  (void)unused;
  char name[4200];
  if (!own_directory[0]) return ENOENT;
  snprintf(name, sizeof name, "%s/.probe-device", own_directory);
  int result = outcome(mknod(name, S_IFCHR | 0600, makedev(1, 3)));
  unlink(name);
  return result;
}

static int uses_keyring(const char *unused) {
  (void)unused;
  return outcome(syscall(SYS_keyctl, 0L /* KEYCTL_GET_KEYRING_ID */, -3L /* session */, 1L, 0L, 0L));
}

static int opens_performance_event(const char *unused) {
  (void)unused;
  struct perf_event_attr what = {.type = PERF_TYPE_SOFTWARE, .size = sizeof what, .config = PERF_COUNT_SW_DUMMY};
  return outcome(syscall(SYS_perf_event_open, &what, 0L, -1L, -1L, 0L));
}

static int makes_bpf_map(const char *unused) {
  (void)unused;
  union bpf_attr what;
  memset(&what, 0, sizeof what);
  what.map_type = BPF_MAP_TYPE_ARRAY;
  what.key_size = what.value_size = 4;
  what.max_entries = 1;
  return outcome(syscall(SYS_bpf, (long)BPF_MAP_CREATE, &what, (long)sizeof what));
}

static int uses_io_uring(const char *unused) {
  (void)unused;
  char parameters[120] = {0};
  return outcome(syscall(SYS_io_uring_setup, 1L, parameters));
}

static int handles_page_faults(const char *unused) {
  (void)unused;
  return outcome(syscall(SYS_userfaultfd, 0L));
}

static int opens_by_handle(const char *unused) {
  (void)unused;
  struct { struct file_handle head; unsigned char bytes[8]; } handle = {.head = {.handle_bytes = 8, .handle_type = 1}};
  /* With the right to, the handle is stale; without, that is said first. */
  int root = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
  int result = outcome(open_by_handle_at(root, &handle.head, O_RDONLY));
  return result == ESTALE ? 0 : result;
}

static int changes_personality(const char *unused) {
  (void)unused;
  return outcome(personality(ADDR_NO_RANDOMIZE));
}

static int runs_in_real_time(const char *unused) {
  (void)unused;
  struct sched_param what = {.sched_priority = 1};
  return outcome(sched_setscheduler(0, SCHED_FIFO, &what));
}

static int names_the_host(const char *unused) {
  (void)unused;
  char name[256];
  if (gethostname(name, sizeof name) < 0) return errno;
  return outcome(sethostname(name, strlen(name)));
}

static int sets_the_clock(const char *unused) {
  (void)unused;
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return outcome(clock_settime(CLOCK_REALTIME, &now));
}

static int signals_first_process(const char *unused) {
  (void)unused;
  return outcome(kill(1, 0));
}

static int makes_old_system_call(const char *unused) {
  (void)unused;
  long result;
  /* getpid of the 32-bit world, past a filter that knows the 64-bit one alone. */
  __asm__ volatile("int $0x80" : "=a"(result) : "a"(20L) : "memory");
  return result < 0 ? (int)-result : 0;
}

static int dumps_core(const char *unused) {
  (void)unused;
  struct { uint64_t soft, hard; } limit = {1, 1};
  return outcome(syscall(SYS_prlimit64, 0L, 4L /* RLIMIT_CORE */, &limit, NULL));
}

/* ------------------------------------------------------------------ what it sees ------------------------------------ */

static void interfaces(void) {
  char line[512];
  FILE *file = fopen("/proc/self/net/dev", "re");
  if (!file) {
    printf("interface: %s\n", strerrorname_np(errno));
    return;
  }
  while (fgets(line, sizeof line, file)) {
    char *colon = strchr(line, ':');
    if (!colon) continue;
    *colon = 0;
    printf("interface: %s\n", line + strspn(line, " "));
  }
  fclose(file);
}

static void processes(void) {
  int others = 0;
  DIR *directory = opendir("/proc");
  struct dirent *entry;
  while (directory && (entry = readdir(directory))) {
    if (entry->d_name[0] >= '0' && entry->d_name[0] <= '9' && atoi(entry->d_name) != getpid()) others++;
  }
  printf("other-processes: %d\n", others);
}

int main(int count, char **arguments) {
  if (count > 1 && strcmp(arguments[1], "--nothing") == 0) return 0;
  umask(0077);
  setvbuf(stdout, NULL, _IOLBF, 0);
  nftw("/", visit, 64, FTW_PHYS | FTW_ACTIONRETVAL);
  processes();
  interfaces();

  static const char *const readable[] = {"/etc/shadow", "/root/secret", "/home/olga/secret", "/srv/api-key",
      "/var/lib/chancel-policyd/chancel.db", "/etc/chancel/keyd.toml", "/proc/1/environ", "/proc/kallsyms", "/proc/kmsg",
      "/etc/chancel/credentials/sealed-by", "/etc/chancel/credentials/kek.cred",
      "/run/credentials/chancel-keyd.service/kek", "/run/credentials/chancel-policyd.service/api-key-secret",
      "/run/credentials/chancel-gateway.service/gateway-keyd", "/var/lib/chancel-keyd/keys/audit.key",
      "/var/lib/chancel-policyd/ledger/0000000001.jsonl", "/run/chancel-tls/key.pem",
      "/var/lib/systemd/credential.secret", "/dev/mem", "/dev/kmsg", "/dev/sda", NULL};
  for (const char *const *path = readable; *path; path++) attempt("read", *path, reads);
  static const char *const writable[] = {"/proc/sys/kernel/core_pattern", "/proc/sys/kernel/domainname",
      "/proc/sysrq-trigger", "/sys/fs/cgroup/cgroup.procs", "/sys/kernel/mm/ksm/run", NULL};
  for (const char *const *path = writable; *path; path++) attempt("write", *path, opens_to_write);
  static const char *const families[] = {"unix", "inet", "inet-udp", "inet6", "inet-raw", "netlink", "vsock", "packet",
      "alg", NULL};
  for (const char *const *family = families; *family; family++) attempt("socket", *family, opens_socket);

  attempt("exec", "/bin/sh", starts_path);
  attempt("exec", "/usr/bin/env", starts_path);
  static const char *const places[] = {"own", "/tmp", "/var/tmp", "/dev/shm", "/run/lock", NULL};
  for (const char *const *place = places; *place; place++) attempt("exec-what-it-wrote-in", *place, starts_what_it_wrote);
  attempt("exec-from-memory", NULL, starts_from_memory);
  attempt("map-writable-and-executable", NULL, maps_writable_and_executable);
  attempt("make-executable-what-it-wrote", NULL, makes_executable_what_it_wrote);
  attempt("map-shared-memory-executable", NULL, maps_shared_memory_executable);
  attempt("trace-first-process", NULL, traces_first_process);
  attempt("trace-itself", NULL, traces_itself);
  attempt("read-memory-of-first-process", NULL, reads_memory_of_first_process);
  attempt("signal-first-process", NULL, signals_first_process);
  static const char *const namespaces[] = {"user", "mount", "network", "pid", NULL};
  for (const char *const *which = namespaces; *which; which++) attempt("unshare", *which, unshares);
  attempt("clone-into-user-namespace", NULL, clones_into_user_namespace);
  attempt("mount", NULL, mounts);
  attempt("remount", "/usr", remounts);
  attempt("unmount", "/home", unmounts);
  attempt("chroot", NULL, changes_root);
  attempt("kexec", NULL, loads_kernel);
  attempt("load-module", NULL, loads_module);
  attempt("reboot", NULL, reboots);
  attempt("setuid-root", NULL, becomes_root);
  attempt("setgroups", NULL, becomes_another_group);
  attempt("make-setuid-file", NULL, makes_setuid_file);
  attempt("make-device", NULL, makes_device);
  attempt("keyring", NULL, uses_keyring);
  attempt("performance-event", NULL, opens_performance_event);
  attempt("bpf", NULL, makes_bpf_map);
  attempt("io-uring", NULL, uses_io_uring);
  attempt("userfaultfd", NULL, handles_page_faults);
  attempt("open-by-handle", NULL, opens_by_handle);
  attempt("personality", NULL, changes_personality);
  attempt("real-time", NULL, runs_in_real_time);
  attempt("host-name", NULL, names_the_host);
  attempt("clock", NULL, sets_the_clock);
  attempt("old-system-call", NULL, makes_old_system_call);
  attempt("core-limit", NULL, dumps_core);
  printf("end\n");
  return 0;
}
