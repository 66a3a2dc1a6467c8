/* Failpoints, compiled in when MILLRACE_FAULTS is defined to 1; otherwise nothing.
 * Environment MILLRACE_FAULT="NAME[:N][,NAME[:N]...]": the process kills itself with SIGKILL at
 * the Nth pass (default 1) of FAULT("NAME"). "NAME:N:sleep:MS" sleeps instead. Every name in
 * the tree is listed by `fault_names`' callers: docs/ARCHITECTURE.md.
 */
#ifndef MILLRACE_BASE_FAULT_H
#define MILLRACE_BASE_FAULT_H

#if defined(MILLRACE_FAULTS) && MILLRACE_FAULTS
void
fault_pass(const char *name);
#define FAULT(name) fault_pass(name)
#else
#define FAULT(name) ((void)0)
#endif

#endif
