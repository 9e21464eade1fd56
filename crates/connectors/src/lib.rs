//! One folder for each protocol: sources that receive and destinations that send
