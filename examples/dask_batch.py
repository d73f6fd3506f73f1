"""A batch over Dask's workers: processes of this machine, or a cluster's.

    python dask_batch.py                            two processes here
    python dask_batch.py tcp://scheduler:8786       a scheduler that runs already

The workers take the key from their own environment. Where they share no disk, a journal has to be
one that all of them reach, such as RedisJournal.
"""

# needs: distributed
# prints: 20 answers

import sys

from distributed import Client, LocalCluster

from streamsafe import StreamSession


def main() -> None:
    """Connect, ask, print."""
    if len(sys.argv) > 1:
        client = Client(sys.argv[1])
    else:
        client = Client(LocalCluster(n_workers=2, threads_per_worker=4, dashboard_address=None))
    session = StreamSession("openai", model="gpt-4o-mini")
    prompts = [f"Question {number}" for number in range(20)]
    with client:
        results = list(session.map(prompts, executor=client.get_executor(), max_workers=8))
    for result in results[:3]:
        print(result.index, result.value().text)
    print(len(results), "answers")
    if client.cluster is not None:
        client.cluster.close()


if __name__ == "__main__":  # the workers import this file
    main()
