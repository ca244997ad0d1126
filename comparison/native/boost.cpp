// Two of Boost's: a message queue between processes, and a lock-free ring that fits into shared memory when its
// capacity is fixed at compile time.

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/lockfree/spsc_queue.hpp>
#include <boost/version.hpp>

#include <cstddef>
#include <cstdint>
#include <new>
#include <type_traits>
#include <vector>

namespace bip = boost::interprocess;

extern "C" const char *boost_version() { return BOOST_LIB_VERSION; }

// No exception may reach Rust: null, or false, is a failure.

extern "C" void *boost_mq_create(const char *name, std::size_t count, std::size_t bytes)
{
    try {
        return new bip::message_queue(bip::create_only, name, count, bytes);
    } catch (...) {
        return nullptr;
    }
}

extern "C" void *boost_mq_open(const char *name)
{
    try {
        return new bip::message_queue(bip::open_only, name);
    } catch (...) {
        return nullptr;
    }
}

extern "C" void boost_mq_close(void *queue) { delete static_cast<bip::message_queue *>(queue); }

extern "C" bool boost_mq_remove(const char *name) { return bip::message_queue::remove(name); }

extern "C" bool boost_mq_send(void *queue, const void *item, std::size_t bytes)
{
    try {
        static_cast<bip::message_queue *>(queue)->send(item, bytes, 0);
        return true;
    } catch (...) {
        return false;
    }
}

extern "C" bool boost_mq_receive(void *queue, void *item, std::size_t bytes)
{
    try {
        bip::message_queue::size_type got;
        unsigned int priority;
        static_cast<bip::message_queue *>(queue)->receive(item, bytes, got, priority);
        return got == bytes;
    } catch (...) {
        return false;
    }
}

namespace {

template <std::size_t Bytes> struct item {
    std::uint64_t words[Bytes / 8];

    void set(std::uint64_t number)
    {
        for (auto &word : words)
            word = number;
    }

    bool is(std::uint64_t number) const
    {
        std::uint64_t wrong = 0;
        for (auto word : words)
            wrong |= word ^ number;
        return wrong == 0;
    }
};

inline void pause()
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
}

// As on the Rust side: one call per item, else batches.
enum mode { single, batch };

template <std::size_t Bytes, std::size_t Capacity> struct ring {
    using element = item<Bytes>;
    using queue = boost::lockfree::spsc_queue<element, boost::lockfree::capacity<Capacity>>;

    static queue &at(void *memory) { return *static_cast<queue *>(memory); }

    static void construct(void *memory) { new (memory) queue; }

    static void push(void *memory, const void *from)
    {
        while (!at(memory).push(*static_cast<const element *>(from)))
            pause();
    }

    static void pop(void *memory, void *into)
    {
        while (!at(memory).pop(*static_cast<element *>(into)))
            pause();
    }

    static void push_run(void *memory, int how, std::size_t most, std::uint64_t first, std::uint64_t count)
    {
        queue &q = at(memory);
        const std::uint64_t end = first + count;
        if (how == single) {
            element next;
            for (std::uint64_t number = first; number != end; number++) {
                next.set(number);
                while (!q.push(next))
                    pause();
            }
            return;
        }
        std::vector<element> items(most);
        for (std::uint64_t number = first; number != end;) {
            const std::size_t len = end - number < most ? end - number : most;
            for (std::size_t index = 0; index < len; index++)
                items[index].set(number++);
            for (std::size_t done = 0; done < len;) {
                const std::size_t pushed = q.push(items.data() + done, len - done);
                if (pushed == 0)
                    pause();
                done += pushed;
            }
        }
    }

    // How many came as expected; of a batch with a wrong item, none.
    static std::uint64_t pop_run(void *memory, int how, std::size_t most, std::uint64_t first, std::uint64_t count)
    {
        queue &q = at(memory);
        const std::uint64_t end = first + count;
        if (how == single) {
            element next;
            for (std::uint64_t number = first; number != end; number++) {
                while (!q.pop(next))
                    pause();
                if (!next.is(number))
                    return number - first;
            }
            return count;
        }
        std::vector<element> items(most);
        for (std::uint64_t number = first; number != end;) {
            const std::uint64_t from = number;
            const std::size_t room = end - number < most ? end - number : most;
            const std::size_t len = q.pop(items.data(), room);
            if (len == 0)
                pause();
            bool right = true;
            for (std::size_t index = 0; index < len; index++)
                right &= items[index].is(number++);
            if (!right)
                return from - first;
        }
        return count;
    }
};

} // namespace

extern "C" struct boost_ring {
    std::size_t item_bytes;
    std::size_t capacity;
    std::size_t total_bytes;
    void (*construct)(void *);
    void (*push)(void *, const void *);
    void (*pop)(void *, void *);
    void (*push_run)(void *, int, std::size_t, std::uint64_t, std::uint64_t);
    std::uint64_t (*pop_run)(void *, int, std::size_t, std::uint64_t, std::uint64_t);
};

namespace {

template <std::size_t Bytes, std::size_t Capacity> constexpr boost_ring entry()
{
    using r = ring<Bytes, Capacity>;
    return {Bytes, Capacity, sizeof(typename r::queue), r::construct, r::push, r::pop, r::push_run, r::pop_run};
}

const boost_ring rings[] = {
    entry<8, 16>(),      entry<8, 128>(),     entry<8, 1024>(),    entry<8, 8192>(),    entry<8, 65536>(),
    entry<64, 1024>(),   entry<256, 1024>(),  entry<1024, 1024>(), entry<4096, 256>(),  entry<16384, 64>(),
    entry<65536, 16>(),
};

} // namespace

extern "C" const boost_ring *boost_ring_find(std::size_t item_bytes, std::size_t capacity)
{
    for (const boost_ring &one : rings)
        if (one.item_bytes == item_bytes && one.capacity == capacity)
            return &one;
    return nullptr;
}
