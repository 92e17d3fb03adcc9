/*
 * A stand-in for the driver's libcuda.so.1: the calls of the proof, over plain memory. Like CUDA it needs to open the GPU's device node.
 * /etc/cuda-lie says what it does wrong: "dead", "hang", "none" (no device), "idle" (a kernel that writes nothing).
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int lies(const char *how)
{
    char said[16] = "";
    FILE *file = fopen("/etc/cuda-lie", "r");
    if (file) {
        if (!fgets(said, sizeof said, file))
            said[0] = 0;
        fclose(file);
    }
    return !strncmp(said, how, strlen(how));
}

int cuInit(unsigned flags)
{
    int node = open("/dev/nvidia0", O_RDWR);
    if (node < 0)
        return 100;
    close(node);
    while (lies("hang"))
        sleep(1);
    return lies("dead") ? 999 : 0;
}

int cuDeviceGetCount(int *count) { return *count = !lies("none"), 0; }
int cuCtxCreate_v2(void **context, unsigned flags, int device) { return *context = malloc(1), 0; }
int cuCtxDestroy_v2(void *context) { return free(context), 0; }
int cuMemAlloc_v2(uint64_t *memory, size_t size) { return *memory = (uint64_t)(uintptr_t)calloc(1, size), 0; }
int cuMemFree_v2(uint64_t memory) { return free((void *)(uintptr_t)memory), 0; }
int cuModuleLoadData(void **module, const char *ptx) { return *module = (void *)ptx, strstr(ptx, ".entry mark") ? 0 : 218; }
int cuModuleGetFunction(void **kernel, void *module, const char *name) { return *kernel = module, strcmp(name, "mark") ? 500 : 0; }
int cuCtxSynchronize(void) { return 0; }
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size) { return memcpy(to, (void *)(uintptr_t)from, size), 0; }

int cuLaunchKernel(void *kernel, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared,
                   void *stream, void **words, void **extra)
{
    /* The value that the PTX of the program stores. */
    const char *at = strstr((const char *)kernel, "mov.u32 %r1, ");
    if (!at)
        return 400;
    if (!lies("idle"))
        *(uint32_t *)(uintptr_t)*(uint64_t *)words[0] = (uint32_t)atoi(at + strlen("mov.u32 %r1, "));
    return 0;
}
