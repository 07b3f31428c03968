from processor.cli.app import main

main()
