/* DCMI for Debian's ipmi_sim, which has none: Get Power Reading, answered from a file.
 *
 * ipmi_sim loads this by the line `loadlib "dcmi.so" "FILE"` of its settings. FILE holds the bytes
 * of the answer in hexadecimal, the completion code first; it is read at every request, so a test
 * changes what the BMC says while it runs. No FILE, or an empty one: "invalid command" (C1h), which
 * is what a BMC without DCMI says.
 *
 * Protocol: DCMI 1.5 section 6.6.1, group extension DCh, network function 2Ch, command 02h. The
 * layout of a message and the names of the two entry points are ipmi_sim's own interface for
 * modules (OpenIPMI/msg.h and ipmi_lan(5), loadlib); no header package is needed.
 */
#include <stdint.h>
#include <stdio.h>

enum { GROUP_DCMI = 0xdc, GET_POWER_READING = 0x02, INVALID_COMMAND = 0xc1, MOST_BYTES = 64 };

struct message {
    void *source_address;
    int source_length;
    long oem_data;
    unsigned char channel;
    void *original_channel;
    unsigned char authentication_type;
    uint32_t sequence;
    uint32_t session;
    union {
        struct {
            unsigned char *code;
            unsigned char code_data[16];
        } rmcp;
        struct {
            unsigned char payload, encrypted, authenticated, iana[3];
            uint16_t payload_id;
            unsigned char *data;
            unsigned int length;
        } rmcp_plus;
    };
    unsigned char network_function, rs_address, rs_lun, rq_address, rq_lun, rq_sequence, command;
    unsigned char *data;
    unsigned int length;
};

typedef void (*handler)(void *controller, struct message *message, unsigned char *answer,
                        unsigned int *answer_length, void *private_data);

void ipmi_emu_register_group_extension_handler(uint8_t group, handler function, void *private_data);

static char path[4096];

static void answer_power(void *controller, struct message *message, unsigned char *answer,
                         unsigned int *answer_length, void *private_data)
{
    (void)controller;
    (void)private_data;
    answer[0] = INVALID_COMMAND;
    *answer_length = 1;
    if (message->command != GET_POWER_READING)
        return;
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    unsigned int value;
    unsigned int length = 0;
    while (length < MOST_BYTES && fscanf(file, "%2x", &value) == 1)
        answer[length++] = (unsigned char)value;
    fclose(file);
    if (length > 0)
        *answer_length = length;
    else
        answer[0] = INVALID_COMMAND;
}

int ipmi_sim_module_print_version(void *system, const char *options)
{
    (void)system;
    (void)options;
    return 0;
}

int ipmi_sim_module_init(void *system, const char *options)
{
    (void)system;
    snprintf(path, sizeof path, "%s", options);
    ipmi_emu_register_group_extension_handler(GROUP_DCMI, answer_power, NULL);
    return 0;
}
